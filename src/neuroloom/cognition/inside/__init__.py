"""What trained nets do inside: fixed points, trajectories, tuning, lesions."""
