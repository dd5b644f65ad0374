"""Connectomes: reading them, what is measured of them, models that learn from them."""
