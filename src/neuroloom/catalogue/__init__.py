"""The 72 tools of the review as data, a search over them, and what does their job here.

    from neuroloom.catalogue import search
    [tool.name for tool in search("EEG classification", framework="PyTorch")]

`tools.csv` holds the facts of the review (licences only where they were read in the tool's own
files; blank means not looked up). Whether a job is done is read from `parity/results.csv`.
"""

from neuroloom.catalogue.parity import Parity, load_parity
from neuroloom.catalogue.search import Tool, find_tool, like, load_tools, search

__all__ = ["Parity", "Tool", "find_tool", "like", "load_parity", "load_tools", "search"]
