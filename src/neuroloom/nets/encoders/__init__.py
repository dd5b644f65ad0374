"""Encoders of images and volumes: (n, channel, *axes) to (n, n_outputs), in two and three axes."""
