"""Pictures, texts and tensors as bytes and back; files are put in place whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.imaging.placing import explained, whole_file
from dit4sr_cli.training.data.index import Place
from dit4sr_cli.training.data.layout import RELEASED_SUFFIX

_LONGEST_HEADER = 1 << 20
_COMPRESSION = 3
"""zlib's level: level 6 takes twice as long for 3 % less."""


def write(path: Path, data: bytes) -> None:
    """Put a file in place; its folder is made if need be.

    Raises:
        OutputError: it cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, overwrite=True) as stream:
            stream.write(data)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """A picture [H, W, 3] as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def pixels_of(data: bytes, name: str) -> NDArray[np.uint8]:
    """The pixels of a picture file, [H, W, 3].

    Raises:
        InputError: it is damaged, or no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{name}: damaged, or no picture", hint=_AGAIN) from error


def tensor_bytes(tensors: Mapping[str, Tensor], **words: str) -> bytes:
    """Tensors as a safetensors file; `words` go into its header."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(whole, {"format": "pt", **words})


def word_of(place: Place, key: str) -> str | None:
    """A word that `tensor_bytes` put into a file's header; None where there is none.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        length = int.from_bytes(place.read(8), "little")
        header = json.loads(place.read(8 + min(length, _LONGEST_HEADER))[8:])
        return str(header["__metadata__"][key])
    except (ValueError, KeyError, TypeError):
        return None


def tensor_of(data: bytes, tensor: str, suffix: str, name: str) -> Tensor:
    """One tensor of a file: a safetensors, or the released code's, which is nothing but the tensor.

    Raises:
        InputError: it is damaged, or holds something else.
    """
    try:
        if suffix == RELEASED_SUFFIX:
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        else:
            found = safetensors.torch.load(data)[tensor]
    except Exception as error:  # of a damaged pickle, torch raises whatever it stumbles over
        raise InputError(f"{name}: damaged, or without {tensor}", hint=_AGAIN) from error
    if not isinstance(found, Tensor):
        raise InputError(f"{name}: holds no tensor", hint="is this a folder of training data?")
    return found


_AGAIN = "remove it, and run the command that made it again"
