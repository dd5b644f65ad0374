"""From grey frames to pupils: maps, rims, ellipses."""
