"""`neuroloom studio`: the recipes, runs and models of a folder, in a browser.

`service.Studio` does everything; `api` offers it over HTTP and `pages` to people, so that neither
can do more than the other. `queue` runs `neuroloom` itself as processes that outlive the server,
`workspace` says which folders may be read and written, `access` who may come in, `form` turns a
recipe's types into fields, `views` look into data by windows.
"""
