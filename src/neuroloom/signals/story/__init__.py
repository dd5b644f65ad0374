"""What the report of a run shows and says: words, explanations, and each recipe's order."""
