"""Reports of the recipes of eyes."""
