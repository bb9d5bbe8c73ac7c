"""Runs the command line: standard output is protected before anything heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command in sys.argv and exit with its documented code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of half an import
    from dit4sr_cli.cli import failures, streams

    # torch's threads spin while they wait: on a busy machine that costs eight times the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    failures.catch_signals()
    streams.protect_stdout()
    sys.exit(failures.guard(_run))


def _run() -> object:
    from dit4sr_cli.cli.app import app

    return app(prog_name="dit4sr", standalone_mode=False)


if __name__ == "__main__":
    main()
