"""The tests; a package, since others (sleap-io) install one of that name, too."""
