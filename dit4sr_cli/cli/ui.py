"""`dit4sr ui`: options to a page on this machine, open until Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from dit4sr_cli.cli import options, outcomes
from dit4sr_cli.cli import upscale as single
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.settings import caption_settings, model_settings, upscale_settings
from dit4sr_cli.core.settings import DEFAULT_MAX_MEGAPIXELS
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision, Quantize

Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Listen on this address of the machine.")
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, metavar="N", help="Listen on this port; 0: a free one.")
]
NoToken = Annotated[
    bool,
    typer.Option("--no-token", help="Let everyone in who reaches the address, without the token."),
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Only print the address; open no browser.")]


def ui(
    host: Host = "127.0.0.1",
    port: Port = 8430,
    no_token: NoToken = False,
    no_open: NoOpen = False,
    model: options.Model = "auto",
    caption: options.CaptionMode = CaptionChoice.AUTO,
    captioner: options.CaptionerName = "auto",
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    no_t5: options.NoT5 = False,
    low_memory: options.LowMemory = False,
    quantize: options.QuantizeTo = Quantize.NONE,
    max_megapixels: options.MaxMegapixels = DEFAULT_MAX_MEGAPIXELS,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Enlarge pictures on a page in the browser, until Ctrl-C."""
    given = {**locals()}
    from dit4sr_cli.ui.form import Fixed
    from dit4sr_cli.ui.security import is_loopback
    from dit4sr_cli.ui.server import Site, serve

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    fixed = Fixed(
        model=model_settings(given, upscale_settings({})),
        caption=caption_settings(given),
        max_megapixels=max_megapixels,
    )
    if no_token:
        console.warn("--no-token: whoever reaches the address sees the page and its pictures")
    if not is_loopback(host):
        console.warn(f"{host}: other machines reach the page, and what they send is not encrypted")

    def announce(address: str) -> None:
        console.result(address, {"command": "ui", "url": address})
        console.note("Ctrl-C ends; pictures on the page that were not downloaded are gone then")
        if not no_open:
            _open(address)

    serve(
        Site(host=host, port=port, has_token=not no_token),
        fixed,
        load=single.load,
        explain=outcomes.explain,
        announce=announce,
    )


def _open(address: str) -> None:
    """In the person's browser; where there is no screen, the address in the terminal has to do."""
    has_screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not has_screen:
        return
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
