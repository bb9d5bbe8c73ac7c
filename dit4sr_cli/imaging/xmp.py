"""XMP packets read and added to, with an XML parser; what the source wrote stays as it was."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from xml.dom import Node, minidom
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from dit4sr_cli.imaging import formats

DIT4SR = "https://ns.dit4sr.org/record/1.0/"
"""Our namespace, a name and not an address; see docs/record.md."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MM = "http://ns.adobe.com/xap/1.0/mm/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_REF = "http://ns.adobe.com/xap/1.0/sType/ResourceRef#"
_XML, _NAMES = "http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"
_XMLNS = (
    f'xmlns:rdf="{_RDF}" xmlns:xmpMM="{_MM}" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:stEvt="{_EVENT}" '
    f'xmlns:stRef="{_REF}" xmlns:dit4sr="{DIT4SR}"'
)

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""A picture that was invented as a whole stays one, whatever is done to it later."""

LARGEST_IN_JPEG = 65_502
"""Bytes of one segment, less its length and the prefix that names it."""
_MAX_BYTES, _MAX_NODES, _MAX_DEPTH = 2 << 20, 50_000, 100
_SMALL = 1024  # properties of the source up to this size are not what makes a packet too large

_HEAD, _TAIL = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', '<?xpacket end="w"?>'
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>'
_LISTS = ("Seq", "Bag", "Alt")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Node: TypeAlias = Any  # minidom's types do not tell elements from other nodes


class BrokenXmpError(ValueError):
    """A packet that cannot be kept: not well-formed, not RDF, too large, or out to do harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What is added to a packet.

    Args:
        properties: of our namespace, by name.
        source_type: IPTC's DigitalSourceType.
        event: a step of the history: `action`, `when`, `softwareAgent`, `parameters`.
        uuid: of the new document.
    """

    properties: Mapping[str, str]
    source_type: str
    event: Mapping[str, str]
    uuid: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A packet with a stamp, and the source's properties that had to go for it to fit."""

    packet: bytes
    dropped: tuple[str, ...] = field(default=())


def join(packet: bytes | None, stamp: Stamp, *, limit: int | None = None) -> Joined:
    """Add a stamp; the source's large properties go, the largest first, until it fits.

    Raises:
        BrokenXmpError: the packet cannot be kept.
    """
    document = _parsed(packet or _EMPTY.encode())
    rdf = _rdf(document)
    _add(rdf, stamp)
    joined = _packet(document)
    dropped = []
    large = sorted(_large_properties(rdf), key=lambda node: len(_written(node)))
    while limit is not None and len(joined) > limit and large:
        node = large.pop()
        node.parentNode.removeChild(node)
        dropped.append(node.nodeName)
        joined = _packet(document)
    return Joined(joined, tuple(dropped))


def packet_of(data: bytes | memoryview, kind: str) -> bytes | None:
    """The packet of a file (of its first page), if it has one; no pixel is decoded.

    Raises:
        vips.Error: the file is damaged.
    """
    from dit4sr_cli.imaging import vips

    loader = {"avif": "heif"}.get(kind, kind)
    if kind not in formats.WRITABLE:
        return None
    image = vips.load(loader, data, **({} if loader == "webp" else {"unlimited": True}))
    return bytes(image.get("xmp-data")) or None if image.get_typeof("xmp-data") else None


def properties(packet: bytes) -> dict[str, str]:
    """Our simple properties in a packet, by name.

    Raises:
        BrokenXmpError: it cannot be read.
    """
    found = {}
    for description in _descriptions(_rdf(_parsed(packet))):
        for node in description.childNodes:
            if node.namespaceURI == DIT4SR:
                found[node.localName] = _content(node)
        for node in description.attributes.values():
            if node.namespaceURI == DIT4SR:
                found[node.localName] = node.value
    return found


def describe(packet: bytes) -> dict[str, str]:
    """All properties of a packet as text, by prefix and name; lists and structures as one line.

    Raises:
        BrokenXmpError: it cannot be read.
    """
    found = {}
    for description in _descriptions(_rdf(_parsed(packet))):
        for node in [*description.attributes.values(), *description.childNodes]:
            if node.nodeType == Node.TEXT_NODE or node.namespaceURI in (None, _RDF, _NAMES):
                continue
            found[node.nodeName] = _in_words(node)
    return found


def as_text(text: str) -> str:
    """The text as XML can hold it: file names may have any character."""
    return _NOT_XML.sub("\ufffd", text)


# ------------------------------------------------------------------------- reading


def _parsed(packet: bytes) -> _Node:
    if not packet.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        packet = packet.strip(b"\0 \t\r\n")
    try:
        _check(packet)
        return minidom.parseString(packet)
    except (expat.ExpatError, LookupError, AttributeError, TypeError) as error:
        raise BrokenXmpError(f"not well-formed XML ({error})") from error


def _check(packet: bytes) -> None:
    """Refuse what could cost more than it is worth, before a tree is made of it.

    Without a document type there are no entities to expand or to fetch.
    """
    if len(packet) > _MAX_BYTES:
        raise BrokenXmpError(f"larger than {_MAX_BYTES >> 20} MiB")
    nodes = depth = 0

    def start(_: str, attributes: list[str]) -> None:
        nonlocal nodes, depth
        nodes, depth = nodes + 1 + len(attributes) // 2, depth + 1
        if nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise BrokenXmpError("too many elements")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise BrokenXmpError("it declares a document type")

    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(packet, True)


def _rdf(document: _Node) -> _Node:
    found = document.getElementsByTagNameNS(_RDF, "RDF")
    if not found:
        raise BrokenXmpError("no RDF in it")
    return found[0]


def _descriptions(rdf: _Node) -> list[_Node]:
    return [n for n in rdf.childNodes if (n.namespaceURI, n.localName) == (_RDF, "Description")]


def _places(rdf: _Node, namespace: str, name: str | None = None) -> Iterator[_Node]:
    """A property wherever it is, element or attribute; without a name all of a namespace."""
    for description in _descriptions(rdf):
        for node in [*description.childNodes, *description.attributes.values()]:
            if node.namespaceURI == namespace and name in (None, node.localName):
                yield node


def _value(rdf: _Node, namespace: str, name: str) -> str:
    """A simple property; empty if it is not there."""
    return next((_content(node) for node in _places(rdf, namespace, name)), "")


def _content(node: _Node) -> str:
    if node.nodeType == Node.ATTRIBUTE_NODE:
        return str(node.value)
    resource = node.getAttributeNS(_RDF, "resource")  # a URI may be written so
    return resource or "".join(n.data for n in node.childNodes if hasattr(n, "data"))


def _in_words(node: _Node) -> str:
    """A property and all below it: values of a list by semicolons, those of a structure named."""
    if node.nodeType == Node.ATTRIBUTE_NODE:
        return str(node.value)
    parts = [
        f"{attribute.localName}: {attribute.value}"
        for attribute in node.attributes.values()
        if attribute.namespaceURI not in (None, _RDF, _NAMES, _XML)
    ]
    for child in node.childNodes:
        if child.nodeType != Node.ELEMENT_NODE:
            continue
        words = _in_words(child)
        named = child.namespaceURI != _RDF
        parts.append(f"{child.localName}: {words}" if named else words)
    return "; ".join(filter(None, parts)) or _content(node)


# ------------------------------------------------------------------------- adding


def _add(rdf: _Node, stamp: Stamp) -> None:
    ids = {name: _value(rdf, _MM, name) for name in ("DocumentID", "InstanceID")}
    ids["OriginalDocumentID"] = _value(rdf, _MM, "OriginalDocumentID") or ids["DocumentID"]
    was_synthetic = _value(rdf, _IPTC, "DigitalSourceType") == SYNTHETIC
    about = next((d.getAttributeNS(_RDF, "about") for d in _descriptions(rdf)), "")
    history = next(_places(rdf, _MM, "History"), None)
    for name in ("DocumentID", "InstanceID", "OriginalDocumentID"):
        _remove(rdf, _MM, name)
    _remove(rdf, _IPTC, "DigitalSourceType")
    _remove(rdf, DIT4SR)
    if any(ids.values()):
        _remove(rdf, _MM, "DerivedFrom")
    event = _event(stamp)
    sequence = None if history is None else _sequence(history)
    if sequence is None:
        _remove(rdf, _MM, "History")  # an empty one: two would be none to most readers
    else:
        sequence.appendChild(_element(event))
    values = {f"dit4sr:{name}": value for name, value in stamp.properties.items()}
    values["Iptc4xmpExt:DigitalSourceType"] = SYNTHETIC if was_synthetic else stamp.source_type
    values["xmpMM:DocumentID"] = f"xmp.did:{stamp.uuid}"
    values["xmpMM:InstanceID"] = f"xmp.iid:{stamp.uuid}"
    if ids["OriginalDocumentID"]:
        values["xmpMM:OriginalDocumentID"] = ids["OriginalDocumentID"]
    body = "".join(f"<{name}>{_escaped(value)}</{name}>" for name, value in values.items())
    body += _derived_from(ids)
    if sequence is None:
        body += f"<xmpMM:History><rdf:Seq>{event}</rdf:Seq></xmpMM:History>"
    head = f"<rdf:Description {_XMLNS} rdf:about={quoteattr(about)}>"
    rdf.appendChild(_element(f"{head}{body}</rdf:Description>"))


def _event(stamp: Stamp) -> str:
    values = {**stamp.event, "instanceID": f"xmp.iid:{stamp.uuid}"}
    body = "".join(f"<stEvt:{k}>{_escaped(v)}</stEvt:{k}>" for k, v in values.items())
    # It names its own namespaces: the source may have given these prefixes to others.
    names = f'xmlns:rdf="{_RDF}" xmlns:stEvt="{_EVENT}"'
    return f'<rdf:li {names} rdf:parseType="Resource">{body}</rdf:li>'


def _derived_from(ids: Mapping[str, str]) -> str:
    """Names the source, where it has names."""
    named = {name[0].lower() + name[1:]: value for name, value in ids.items() if value}
    if not named:
        return ""
    body = "".join(f"<stRef:{k}>{_escaped(v)}</stRef:{k}>" for k, v in named.items())
    return f'<xmpMM:DerivedFrom rdf:parseType="Resource">{body}</xmpMM:DerivedFrom>'


def _sequence(history: _Node) -> _Node:
    found = history.childNodes if history.nodeType == Node.ELEMENT_NODE else ()
    return next((n for n in found if n.namespaceURI == _RDF and n.localName in _LISTS), None)


def _remove(rdf: _Node, namespace: str, name: str | None = None) -> None:
    for node in list(_places(rdf, namespace, name)):
        if node.nodeType == Node.ATTRIBUTE_NODE:
            node.ownerElement.removeAttributeNode(node)
        else:
            node.parentNode.removeChild(node)


def _large_properties(rdf: _Node) -> list[_Node]:
    """Of the source, its history and identity excepted."""
    ours = (DIT4SR, _MM, _IPTC)
    nodes = [node for description in _descriptions(rdf) for node in description.childNodes]
    return [
        node
        for node in nodes
        if node.nodeType == Node.ELEMENT_NODE
        and node.namespaceURI not in ours
        and len(_written(node)) > _SMALL
    ]


def _element(text: str) -> _Node:
    return minidom.parseString(text.encode()).documentElement


def _escaped(text: str) -> str:
    return escape(as_text(text), {"\r": "&#13;"})


# ------------------------------------------------------------------------- writing


def _packet(document: _Node) -> bytes:
    return f"{_HEAD}{_written(document.documentElement)}{_TAIL}".encode()


def _written(node: _Node) -> str:
    """As minidom would, but that line ends in attributes stay."""
    if node.nodeType == Node.ELEMENT_NODE:
        attributes = "".join(f" {k}={quoteattr(v)}" for k, v in node.attributes.items())
        inner = "".join(map(_written, node.childNodes))
        start = f"<{node.nodeName}{attributes}"
        return f"{start}>{inner}</{node.nodeName}>" if inner else f"{start}/>"
    if node.nodeType == Node.TEXT_NODE:
        return escape(node.data, {"\r": "&#13;"})
    return str(node.toxml())
