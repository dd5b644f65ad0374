"""Points in space by a net that sees a volume: views, training, finding, films."""
