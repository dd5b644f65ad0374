"""Networks that see an animal from several cameras at once."""
