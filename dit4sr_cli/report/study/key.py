"""What a page hides: which method and which picture stand behind each of its items.

It is packed, so that nobody reads it by accident; it is not encrypted, and whoever wants to know
can find out.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a page: its name, and the method whose result stands on the left."""

    name: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Key:
    """All items of a page in the order in which they are shown.

    Args:
        study: digest of names and pictures; pages that only differ in their seed share it.
        methods: the two, in the order in which they were given.
        items: of the page.
        seed: of the order.
    """

    study: str
    methods: tuple[str, str]
    items: tuple[Item, ...]
    seed: int

    @property
    def page(self) -> str:
        """A name of the page that says nothing of what it compares."""
        return f"{self.study}-{self.seed}"


def packed(key: Key) -> str:
    """The key as letters that say nothing to a reader."""
    return base64.b64encode(zlib.compress(json.dumps(asdict(key)).encode(), 9)).decode("ascii")


def unpacked(text: str) -> Key:
    """The key behind the letters.

    Raises:
        ValueError: they are not those of a key.
    """
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), _MAX_BYTES)
        values: dict[str, Any] = json.loads(data)
        first, second = values["methods"]
        items = tuple(Item(**item) for item in values["items"])
        key = Key(str(values["study"]), (str(first), str(second)), items, int(values["seed"]))
    except (ValueError, zlib.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its key is damaged") from error
    if not items or any({item.left, item.right} != {first, second} for item in items):
        raise ValueError("its key is damaged")
    return key
