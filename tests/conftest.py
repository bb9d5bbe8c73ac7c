"""Fixtures every test may use: a small photograph in a file, and a home for models of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import images

# Sums over several threads differ in the last bit from run to run, and some tests want every bit;
# before torch is imported, and for the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small JPEG named photo.jpg."""
    return images.save(tmp_path / "photo.jpg", quality=95)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the models or settings of the person who runs it."""
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("DIT4SR_HOME", str(home))


@pytest.fixture(autouse=True, scope="session")
def _hear_signals() -> None:
    """A job in the background ignores Ctrl-C, and so would every command that it starts."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A real browser; see `helpers.browser`."""
    from helpers.browser import launched

    with launched() as browser:
        yield browser
