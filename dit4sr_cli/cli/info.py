"""`dit4sr info`: the record of how a picture was made, for a person or whole."""

from __future__ import annotations

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console, one_line


def info(
    file: options.Made,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Show how a picture was made, if dit4sr made it."""
    from dit4sr_cli.jobs.provenance_rows import rows
    from dit4sr_cli.jobs.replay import load

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    found = load(file)
    lines = list(rows(found.record))
    width = max(len(name) for name, _ in lines)
    console.result(
        "\n".join(f"{one_line(name):<{width}}  {one_line(value)}" for name, value in lines),
        {"command": "info", "file": str(file), "place": found.place, "record": found.record},
    )
