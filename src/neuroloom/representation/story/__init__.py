"""Figures and reports of this domain."""
