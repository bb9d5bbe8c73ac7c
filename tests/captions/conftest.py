"""Tiny captioners with random weights, made once."""

from __future__ import annotations

import pytest
from helpers import tiny_hub


@pytest.fixture(scope="session")
def llava(tmp_path_factory):
    return tiny_hub.build_llava(tmp_path_factory.mktemp("captioners") / "llava-1.5-7b")


@pytest.fixture(scope="session")
def smolvlm(tmp_path_factory):
    return tiny_hub.build_smolvlm(tmp_path_factory.mktemp("captioners") / "smolvlm")


@pytest.fixture(scope="session")
def qwen(tmp_path_factory):
    return tiny_hub.build_qwen(tmp_path_factory.mktemp("captioners") / "qwen3-vl-2b")
