"""Reports of the recipes of tasks and of nets that play them."""
