"""Layers that are quick on a CPU, and nets that take any size."""
