"""Fixtures every test may use: a small photograph in a file, and a home for models of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import images


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small JPEG named photo.jpg."""
    return images.save(tmp_path / "photo.jpg", quality=95)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the models or settings of the person who runs it."""
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("DIT4SR_HOME", str(home))
