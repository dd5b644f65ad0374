"""Nets for grids by name, and their losses."""
