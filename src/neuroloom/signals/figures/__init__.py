"""Figures of signals: trials and their data, maps of the head, relevance; one file a kind."""
