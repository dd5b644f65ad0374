"""Nets for signals, re-done from their papers; one family a file."""
