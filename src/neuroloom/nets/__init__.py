"""Networks and blocks that are made for no domain in particular; one family a file."""
