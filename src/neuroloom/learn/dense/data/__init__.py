"""Cases of a dense study: read, audited, matched with a run, preprocessed, kept at hand."""
