"""`studio`: the recipes as forms in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuroloom.core.errors import ConfigError

Folders = Annotated[list[Path] | None, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def studio(
    folder: Path = Path(),
    /,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    no_browser: Flag = False,
    data: Folders = None,
    at_once: int = 1,
    token: Flag = False,
) -> int:
    """Open the recipes in a browser.

    Parameters
    ----------
    folder
        The workspace: runs, uploads and predictions go there; the current folder if not given.
    port
        Default: the first free one from 8642 on.
    host
        What to listen on; anything but localhost asks visitors for a token.
    no_browser
        Only print the address.
    data
        A further folder that may be read; may be repeated.
    at_once
        How many runs work at the same time.
    token
        Ask for a token on localhost too, where several people share this machine.
    """
    try:
        import nicegui  # noqa: F401
    except ImportError:
        raise ConfigError(
            "The studio needs NiceGUI: pip install 'neuroloom[studio]' brings it."
        ) from None
    from neuroloom.apps.studio.server import serve
    from neuroloom.apps.studio.service import Studio
    from neuroloom.apps.studio.workspace import Workspace

    if at_once < 1:
        raise ConfigError(f"--at-once must be 1 or more, got {at_once}.")
    place = Workspace(folder, data or [])
    serve(Studio(place, at_once), host=host, port=port, browser=not no_browser, token=token)
    return 0
