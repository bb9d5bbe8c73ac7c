"""`dit4sr verify`: a picture, its source and its model against its record."""

from __future__ import annotations

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress


def verify(
    file: options.Made,
    source: options.OfSource = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> int:
    """Check whether a picture, its source or its model has changed."""
    from dit4sr_cli.jobs import replay

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    with Progress(str(file)) as progress:
        checks = replay.verify(file, source, progress)
    code = replay.exit_code(checks)
    console.result(
        "\n".join(f"{c.what:<8} {c.state.value:<12}  {c.detail}".rstrip() for c in checks),
        {
            "command": "verify",
            "file": str(file),
            "same": not code,
            "checks": {c.what: {"state": c.state.value, "detail": c.detail} for c in checks},
        },
    )
    return int(code)
