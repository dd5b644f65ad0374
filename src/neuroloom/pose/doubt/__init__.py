"""What is in doubt in tracks and labels, and which frames to label next."""
