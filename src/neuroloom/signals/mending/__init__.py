"""Artefacts put in to learn from, found, and filled."""
