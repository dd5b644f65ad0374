"""Representational geometry: dissimilarities, their comparison, and how sure it is."""
