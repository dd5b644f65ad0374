"""Images made by nets: what they learn from, and how near they come to real ones."""
