"""The exception that ends a run from outside: Ctrl-C, a request to terminate, a closed pipe."""

from __future__ import annotations


class Stopped(BaseException):
    """Raised by a signal; no `except Exception` on the way can swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process ended by this signal."""
        return 128 + self.signum
