"""What is trained: a cyclic LiNGAM, and one forecaster per node, all of them as one batch."""
