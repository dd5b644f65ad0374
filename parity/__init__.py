"""Does neuroloom do what each tool of the review does? One file a tool, on real data."""
