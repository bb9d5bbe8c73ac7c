"""TIFF directories, the structure that EXIF blocks and TIFF files share: read, build, extend.

Values are kept as the bytes they were, in the byte order they were: a tag that nobody here knows,
or that is malformed, passes through unharmed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Buffer: TypeAlias = "bytes | memoryview"

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES_BIG = _SIZES | {16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag's value. `at` is where it lies already in the block that is being extended."""

    kind: int
    count: int
    value: bytes
    at: int | None = None


Directory: TypeAlias = dict[int, Entry]


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte order, and classic or BigTIFF."""

    order: str = "<"
    big: bool = False

    @property
    def word(self) -> str:
        """The struct code of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def field(self) -> int:
        """Bytes of an entry's value field."""
        return 8 if self.big else 4

    @property
    def head(self) -> str:
        """The struct code of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    def table_size(self, num_entries: int) -> int:
        """Bytes of a directory without its outlying values."""
        head = struct.calcsize(self.head)
        return head + num_entries * (4 + 2 * self.field) + self.field

    def header(self, first: int) -> bytes:
        """The start of a file whose first directory is at `first`."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, first)
        return mark + struct.pack(self.order + "HI", 42, first)

    def entry(self, kind: int, *numbers: int) -> Entry:
        """An entry of whole numbers."""
        code = f"{self.order}{len(numbers)}{_NUMBERS[kind]}"
        return Entry(kind, len(numbers), struct.pack(code, *numbers))

    def rational(self, value: float) -> Entry:
        """The nearest fraction with a denominator up to 1000."""
        above, below = Fraction(value).limit_denominator(1000).as_integer_ratio()
        return Entry(RATIONAL, 1, struct.pack(self.order + "II", above, below))

    def ratio(self, entry: Entry | None) -> float:
        """The first rational of an entry; 0 if it is missing or not one."""
        if entry is None or entry.kind != RATIONAL:
            return 0.0
        above, below = struct.unpack(self.order + "II", entry.value[:8])
        return above / below if below else 0.0

    def numbers(self, entry: Entry | None) -> tuple[int, ...]:
        """The whole numbers of an entry; empty if it is missing or not made of such."""
        code = _NUMBERS.get(entry.kind) if entry else None
        if entry is None or code is None:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{code}", entry.value)

    def number(self, entry: Entry | None, default: int = 0) -> int:
        """The first whole number of an entry."""
        return next(iter(self.numbers(entry)), default)


@dataclass(frozen=True, slots=True)
class Block:
    """A TIFF structure lying in memory."""

    data: Buffer
    layout: Layout
    first: int

    @classmethod
    def open(cls, data: Buffer) -> Block:
        """Read the header.

        Raises:
            ValueError: it is not a TIFF structure.
        """
        head = bytes(data[:16])
        orders = {b"II": "<", b"MM": ">"}
        order = orders.get(head[:2])
        if order is None or len(head) < 8:
            raise ValueError("not a TIFF structure")
        magic, first = struct.unpack(order + "HI", head[2:8])
        if magic == 43 and len(head) == 16:
            return cls(data, Layout(order, big=True), struct.unpack(order + "Q", head[8:])[0])
        if magic != 42:
            raise ValueError("not a TIFF structure")
        return cls(data, Layout(order), first)

    def directory(self, offset: int) -> tuple[Directory, int]:
        """The directory at an offset, and where the next one is (0: none).

        Entries whose value lies outside the block are left out.

        Raises:
            ValueError: the directory itself lies outside the block.
        """
        layout = self.layout
        head = struct.calcsize(layout.head)
        (num,) = struct.unpack(layout.head, self._slice(offset, head))
        size = layout.table_size(num)
        table = self._slice(offset, size)
        step = 4 + 2 * layout.field
        entries: Directory = {}
        for start in range(head, size - layout.field, step):
            tag, entry = self._entry(table[start : start + step], offset + start)
            if entry is not None:
                entries[tag] = entry
        return entries, struct.unpack(layout.word, table[-layout.field :])[0]

    def chain(self) -> Iterator[Directory]:
        """All main directories; a loop or a broken link ends it.

        Raises:
            ValueError: there is not even a first one.
        """
        offset, seen = self.first, set[int]()
        while offset and offset not in seen:
            seen.add(offset)
            try:
                entries, offset = self.directory(offset)
            except ValueError:
                if len(seen) == 1:
                    raise
                return
            yield entries

    def below(self, directory: Directory, tag: int) -> Directory:
        """The directory that a tag points at; empty if there is none or it is broken."""
        offset = self.layout.number(directory.get(tag))
        try:
            return self.directory(offset)[0] if offset else {}
        except ValueError:
            return {}

    def _entry(self, field: bytes, place: int) -> tuple[int, Entry | None]:
        layout = self.layout
        code = layout.order + "HH" + layout.word[-1]
        tag, kind, count = struct.unpack(code, field[: -layout.field])
        size = (_SIZES_BIG if layout.big else _SIZES).get(kind, 0) * count
        at = place + len(field) - layout.field
        if size > layout.field:
            (at,) = struct.unpack(layout.word, field[-layout.field :])
        if not size or at + size > len(self.data):
            return tag, None
        return tag, Entry(kind, count, bytes(self.data[at : at + size]), at)

    def _slice(self, offset: int, size: int) -> bytes:
        piece = bytes(self.data[offset : offset + size])
        if len(piece) != size:
            raise ValueError("a directory lies outside the block")
        return piece


def pack(entries: Mapping[int, Entry], at: int, layout: Layout, *, following: int = 0) -> bytes:
    """A directory to be placed at offset `at`, its outlying values behind it.

    Entries with an `at` of their own keep their place and are only pointed at.
    """
    table = struct.pack(layout.head, len(entries))
    values = b""
    start = at + layout.table_size(len(entries))
    for tag, entry in sorted(entries.items()):
        table += struct.pack(layout.order + "HH", tag, entry.kind)
        table += struct.pack(layout.word, entry.count)
        if len(entry.value) <= layout.field:
            table += entry.value.ljust(layout.field, b"\0")
        elif entry.at is not None:
            table += struct.pack(layout.word, entry.at)
        else:
            table += struct.pack(layout.word, start + len(values))
            values += entry.value + b"\0" * (len(entry.value) % 2)
    return table + struct.pack(layout.word, following) + values


@dataclass(frozen=True, slots=True)
class Packed:
    """Directories as one run of bytes, with the places in the file that others point at or patch.

    Args:
        body: the bytes.
        root: where the root directory is.
        link: where its pointer to the next directory is, zero so far.
    """

    body: bytes
    root: int
    link: int


def build(tree: Mapping[tuple[int, ...], Directory], layout: Layout, at: int) -> Packed:
    """Directories nested by pointer tags, for offset `at`.

    Args:
        tree: by path of pointer tags: () is the root, (34665,) what its tag points at, ...
        layout: byte order and size of offsets.
        at: where the run will lie.
    """
    body, pointers = b"", dict[tuple[int, ...], Entry]()
    root = link = at
    for path in sorted(tree, key=len, reverse=True):
        children = {child[-1]: entry for child, entry in pointers.items() if child[:-1] == path}
        entries = tree[path] | children
        root = at + len(body)
        link = root + layout.table_size(len(entries)) - layout.field
        pointers[path] = layout.entry(LONG8 if layout.big else LONG, root)
        body += pack(entries, root, layout)
        body += b"\0" * (len(body) % 2)
    return Packed(body, root, link)
