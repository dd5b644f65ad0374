"""Doors to the recipes: the command line, and later the browser, streams and clusters."""
