from pathlib import Path

import pytest
from helpers import images, tiny_published


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """Three good ones of 64 pixels and more, one of them grey, one large."""
    folder = tmp_path_factory.mktemp("photographs")
    images.save(folder / "wall.png", 200, 150)
    images.save(folder / "grey one.jpg", 90, 130, "L", quality=95)
    images.save(folder / "large.jpg", 700, 520, quality=90)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("model") / "tiny")
