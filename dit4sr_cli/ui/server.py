"""Starts the page, tells its address, and leaves nothing behind when it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.ui import security
from dit4sr_cli.ui.studio import Explain, Studio

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from dit4sr_cli.jobs.upscale import Loader
    from dit4sr_cli.ui.form import Fixed

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8430
_BYTES_A_PIXEL, _SPARE_BYTES = 8, 64 << 20
"""The largest pictures are not compressed: four channels of 16 bits, and room for metadata."""
_PATIENCE = 5.0
"""Seconds that a run may take to end with the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the page is, and who may see it.

    Args:
        host: an address or name of this machine.
        port: 0: any that is free.
        has_token: False: whoever reaches the address may use it.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    has_token: bool = True


def serve(
    site: Site,
    fixed: Fixed,
    *,
    load: Loader,
    explain: Explain,
    announce: Callable[[str], None],
) -> None:
    """Show the page until stopped from outside.

    Args:
        site: where.
        fixed: what holds for all pictures.
        load: makes a model.
        explain: an error of a library as one of ours.
        announce: hears the address, token included, once the page can be opened.

    Raises:
        UsageError: the toolkit is not installed, or the address is not to be had.
        ModelError: a model or captioner that was named is not there.
    """
    from dit4sr_cli.weights.resolve import resolve, resolve_captioner

    resolve(fixed.model.model)
    resolve_captioner(fixed.caption.captioner)
    folder = Path(tempfile.mkdtemp(prefix="dit4sr-ui-"))  # only its owner may look into it
    studio = None
    try:
        with _listening(site) as listener:
            _import_toolkit(folder)
            token = security.new_token() if site.has_token else None
            port = listener.getsockname()[1]
            studio = Studio(folder, fixed, load=load, explain=explain)
            rules = security.Rules(
                token=token,
                host=site.host,
                cookie=f"dit4sr-{port}",
                max_upload=int(fixed.max_megapixels * 1e6 * _BYTES_A_PIXEL) + _SPARE_BYTES,
            )
            app = security.Guard(_app(studio, rules.max_upload), rules)
            address = _address(site.host, port, token)
            asyncio.run(_run(app, listener, lambda: announce(address)))
    finally:
        if studio is not None:
            studio.close(_PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _import_toolkit(folder: Path) -> None:
    """The toolkit keeps files of its own in the current folder, unless told of another."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(folder / "toolkit")
    try:
        import nicegui  # noqa: F401
    except ImportError as error:
        hint = "pip install 'dit4sr[ui]'"
        raise UsageError("the page needs the package nicegui", hint=hint) from error
    logging.getLogger("nicegui").addHandler(logging.NullHandler())


def _listening(site: Site) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            site.host, site.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # elsewhere it would let two listen on one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        is_here = error.errno in (errno.EADDRINUSE, errno.EACCES)
        port = "another port with --port, or --port 0 for any that is free"
        hint = port if is_here else "an address of this machine is needed"
        raise UsageError(f"{site.host} port {site.port}: {reason}", hint=hint) from error
    return listener


def _app(studio: Studio, most_bytes: int) -> ASGIApp:
    from fastapi import FastAPI
    from nicegui import ui

    from dit4sr_cli.ui.page import draw
    from dit4sr_cli.ui.routes import add_routes

    # Its own documentation pages would load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app, studio)
    ui.page("/")(lambda: draw(studio, most_bytes))
    ui.run_with(
        app,
        title="dit4sr",
        favicon=_FAVICON,
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=30,
    )
    return app


_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" '
    'rx="3.5" fill="#2459c4"/><rect x="3" y="9" width="4" height="4" fill="#fff"/>'
    '<path d="M8.5 3H13v4.5L11.3 5.8 8 9.1 6.9 8l3.3-3.3z" fill="#fff"/></svg>'
)


async def _run(app: ASGIApp, listener: socket.socket, announce: Callable[[], None]) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    telling = asyncio.create_task(_when_started(server, announce))
    try:
        await server.serve(sockets=[listener])
    finally:
        telling.cancel()


async def _when_started(server: uvicorn.Server, announce: Callable[[], None]) -> None:
    while not server.started:
        await asyncio.sleep(0.02)
    announce()


def _address(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
