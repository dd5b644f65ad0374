"""Networks and blocks that two or more domains use; none so far."""
