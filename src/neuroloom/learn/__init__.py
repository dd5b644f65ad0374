"""Training and judging, the same for every domain."""
