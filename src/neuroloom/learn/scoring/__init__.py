"""Judging: scores, their intervals, and what held-out predictions say."""
