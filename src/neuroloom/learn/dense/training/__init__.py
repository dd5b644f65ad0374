"""How a dense net learns: patches, losses, time, one net after another; and the plain model."""
