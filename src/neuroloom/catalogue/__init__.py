"""The 72 tools of the review as data, a search over them, and what does their job here.

`search` finds tools and says which command does their job; `parity` reads what has been shown;
`words` knows synonyms. `tools.csv` holds the facts of the review (licences only where they were
read in the tool's own files; blank means not looked up).

>>> from neuroloom.catalogue.search import search
>>> [tool.name for tool in search("explain EEG")]
['ExBrainable']
"""
