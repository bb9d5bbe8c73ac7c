"""XMP packets: joined without loss, and hostile ones refused in little time."""

from __future__ import annotations

import time
from xml.dom import minidom

import pytest
from helpers.xmp_samples import HEAD, HOSTILE, LIGHTROOM, TAIL

from dit4sr_cli.imaging import xmp

STAMP = xmp.Stamp(
    properties={"Model": "nano", "Record": '{"a": "<&>\\u0000"}'},
    source_type="http://example.org/enhanced",
    event={"action": "edited", "when": "2026-01-01T00:00:00+00:00", "softwareAgent": "dit4sr"},
    uuid="42",
)
MM, EVT = "http://ns.adobe.com/xap/1.0/mm/", "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"


def all_of(packet: bytes, namespace: str, name: str) -> list[str]:
    document = minidom.parseString(packet)
    found = document.getElementsByTagNameNS(namespace, name)
    return ["".join(n.data for n in node.childNodes if hasattr(n, "data")) for node in found]


def test_a_fresh_packet_says_it_all():
    packet = xmp.join(None, STAMP).packet
    assert xmp.properties(packet) == dict(STAMP.properties)
    assert all_of(packet, EVT, "action") == ["edited"]
    assert all_of(packet, MM, "InstanceID") == ["xmp.iid:42"]
    assert packet.startswith(b"<?xpacket")


def test_what_the_source_says_stays():
    packet = xmp.join(LIGHTROOM, STAMP).packet
    for piece in (b'xmp:Rating="4"', b'xmp:Label="a&#10;b &amp; c"', b"<!-- kept -->"):
        assert piece in packet
    assert "<rdf:li>Köln</rdf:li><rdf:li>a &lt; b</rdf:li>".encode() in packet
    assert packet.index(b'e:action="saved"') < packet.index(b">edited<")
    assert len(all_of(packet, MM, "History")) == 1
    assert b"digitalCapture" not in packet
    assert all_of(packet, "http://ns.adobe.com/xap/1.0/sType/ResourceRef#", "documentID") == [
        "xmp.did:1"
    ]
    assert all_of(packet, MM, "OriginalDocumentID") == ["xmp.did:1"]


def test_joining_again_replaces_ours_and_adds_to_the_history():
    once = xmp.join(LIGHTROOM, STAMP).packet
    twice = xmp.join(once, STAMP).packet
    assert xmp.properties(twice) == dict(STAMP.properties)
    assert twice.count(b">edited<") == 2
    assert twice.count(b"<dit4sr:Record>") == 1
    assert all_of(twice, MM, "OriginalDocumentID") == ["xmp.did:1"]


def test_an_invented_picture_stays_one():
    packet = LIGHTROOM.replace(
        b"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", xmp.SYNTHETIC.encode()
    )
    assert xmp.SYNTHETIC.encode() in xmp.join(packet, STAMP).packet


def test_utf16_and_padding():
    text = LIGHTROOM.decode().removeprefix("\ufeff").encode("utf-16")
    assert "Köln".encode() in xmp.join(text, STAMP).packet
    assert b"Rating" in xmp.join(LIGHTROOM + b"\0\0\0", STAMP).packet


@pytest.mark.parametrize("packet", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_packets_are_refused(packet):
    started = time.process_time()
    with pytest.raises(xmp.BrokenXmpError):
        xmp.join(packet, STAMP)
    assert time.process_time() - started < 3


def test_what_is_too_long_for_jpeg_goes_the_largest_first():
    large = b"<dc:%s><rdf:Bag>" + b"<rdf:li>0123456789</rdf:li>" * 1500 + b"</rdf:Bag></dc:%s>"
    small = large.replace(b"0123456789", b"0")
    body = b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/">' + large % (
        b"large",
        b"large",
    )
    packet = HEAD + body + small % (b"small", b"small") + b"</rdf:Description>" + TAIL
    joined = xmp.join(packet, STAMP, limit=xmp.LARGEST_IN_JPEG)
    assert joined.dropped == ("dc:large",)
    assert len(joined.packet) <= xmp.LARGEST_IN_JPEG
    assert b"dc:small" in joined.packet
    assert xmp.properties(joined.packet) == dict(STAMP.properties)
    assert xmp.join(packet, STAMP).dropped == ()


def test_text_that_xml_cannot_hold():
    stamp = xmp.Stamp(
        properties={"SourceName": "a\0b\ud800\uffff.jpg"}, source_type="", event={}, uuid="1"
    )
    assert xmp.properties(xmp.join(None, stamp).packet)["SourceName"] == "a\ufffdb\ufffd\ufffd.jpg"
