"""Sphinx: the pages, the examples (executed), and tables derived from the code itself."""

import os
import sys
import warnings
from pathlib import Path

import neuroloom

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "ext"))
os.environ.setdefault("OMP_NUM_THREADS", "2")
warnings.filterwarnings("ignore", category=DeprecationWarning)

project = "neuroloom"
author = "The neuroloom authors"
copyright = author
version = release = neuroloom.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "tables",
]
exclude_patterns = ["_build", "gallery/*.ipynb", "gallery/*.py", "gallery/*.json", "gallery/*.zip"]
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_title = "neuroloom"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_sidebars = {"**": ["sidebar-nav-bs"]}
html_show_sourcelink = False

napoleon_google_docstring = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False

sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples")],
    "gallery_dirs": [str(HERE / "gallery")],
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
}
