"""The reports of the recipes."""
