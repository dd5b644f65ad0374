"""Put the studio together and serve it."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroloom.apps.studio.access import Access, is_local, new_token
from neuroloom.core.errors import ConfigError

if TYPE_CHECKING:
    from neuroloom.apps.studio.service import Studio

PORT, TRIES = 8642, 20
STATIC = Path(__file__).parent / "static"


def serve(
    studio: Studio,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    token: bool = False,
) -> None:
    """Serve a studio until it is interrupted.

    Parameters
    ----------
    studio
        Opened here, closed at the end; its runs go on.
    host
        What to bind to. Anything but localhost needs a token, which is printed.
    port
        A free one from 8642 on if None.
    browser
        Open the default browser.
    token
        Ask for a token on localhost too (a machine that several people share).

    Raises
    ------
    ConfigError
        If the port is taken or the host is not this machine's.
    """
    import uvicorn

    listening = listen(host, port)
    port = listening.getsockname()[1]
    secret = None
    if token or not is_local(host):
        secret = os.environ.get("NEUROLOOM_TOKEN") or new_token()
    studio.open()
    try:
        app = build(studio, host=host, port=port, token=secret)
        address = f"http://{_spoken(host)}:{port}/" + (f"?token={secret}" if secret else "")
        print(f"neuroloom studio of {studio.workspace.root}\n{address}", flush=True)
        threading.Thread(target=_warm, args=(studio,), daemon=True).start()
        if browser:
            threading.Timer(0.8, webbrowser.open, [address]).start()
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        with _quiet_interrupt():
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        studio.close()


def _warm(studio: Studio) -> None:
    """Collect the catalogue's words, which takes a second, before someone asks for them.

    What is in memory then stays: cleaning up need not go through it again, which would hold a page.
    """
    studio.find("anything")
    gc.collect()
    gc.freeze()


def build(studio: Studio, *, host: str, port: int, token: str | None) -> Any:
    """Return the whole application: API, pages, and the guard before both."""
    # NiceGUI reads it when it is imported, and would write into the current folder.
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(studio.workspace.private / "nicegui"))
    from nicegui import ui
    from starlette.staticfiles import StaticFiles

    from neuroloom.apps.studio import pages
    from neuroloom.apps.studio.api import build_api

    api = build_api(studio, may_add_folders=is_local(host))
    api.mount("/static", StaticFiles(directory=STATIC))
    pages.register(studio, may_add_folders=is_local(host))
    ui.run_with(
        api,
        title="neuroloom studio",
        dark=None,
        language="en-GB",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=20.0,
    )
    return Access(api, host=host, port=port, token=token, most_upload=studio.workspace.most_upload)


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that is bound to `port`, or to the first free one from `PORT` on.

    Raises
    ------
    ConfigError
        If there is none.
    """
    for each in [port] if port is not None else range(PORT, PORT + TRIES):
        try:
            return _bind(host, each)
        except OSError as error:
            reason = error.strerror or str(error)
        except OverflowError:
            reason = "a port is a number from 0 to 65535"
    raise ConfigError(
        f"The studio cannot listen on {host}:{port if port is not None else PORT} ({reason}); "
        "name another --port or --host."
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), port))
        found.listen(128)
    except BaseException:
        found.close()
        raise
    return found


def _spoken(host: str) -> str:
    """Return what a person types to reach a bound host."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def _quiet_interrupt() -> Iterator[None]:
    with contextlib.suppress(KeyboardInterrupt):
        yield
