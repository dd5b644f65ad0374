"""What a net looks at: sensors, times, frequencies, and what its first filters pass."""
