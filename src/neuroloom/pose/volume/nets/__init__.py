"""Networks that see an animal from several cameras at once, and how they are trained."""
