"""Recordings as text: a door that tells them apart by their first lines, and a file each."""
