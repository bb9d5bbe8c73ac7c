"""The released implementation's numbers, and how they are read."""

import json
from pathlib import Path

from safetensors.torch import load_file

FOLDER = Path(__file__).parent.parent / "data" / "parity"


def tensors(name):
    return load_file(FOLDER / f"{name}.safetensors")


def table(name):
    return json.loads((FOLDER / f"{name}.json").read_text())
