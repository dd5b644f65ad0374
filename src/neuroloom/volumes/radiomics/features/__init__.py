"""Features of a region as the IBSI defines them, a family a file."""
