"""Whole-image learning: encoders and plain baselines on (n, channel, *axes), in 2-D and 3-D."""
