"""A trained net on whole images: tiles, views, files."""
