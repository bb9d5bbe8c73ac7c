"""XMP packets: one as Lightroom writes it, and some that mean harm."""

from __future__ import annotations

HEAD = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
TAIL = b"</rdf:RDF></x:xmpmeta>"
LIGHTROOM = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">\n'
    b' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    b'  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"\n'
    b'    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:mm="http://ns.adobe.com/xap/1.0/mm/"\n'
    b'    xmlns:e="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"\n'
    b'    xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
    b'    xmp:Rating="4" xmp:Label="a&#xA;b &amp; c"\n'
    b'    mm:DocumentID="xmp.did:1" mm:InstanceID="xmp.iid:2"\n'
    b'    ext:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">\n'
    b"   <dc:subject><rdf:Bag><rdf:li>K\xc3\xb6ln</rdf:li><rdf:li>a &lt; b</rdf:li></rdf:Bag>"
    b"</dc:subject>\n"
    b'   <mm:History><rdf:Seq><rdf:li e:action="derived" e:parameters="from raw"/>\n'
    b'    <rdf:li e:action="saved" e:when="2024-01-01"/></rdf:Seq></mm:History>\n'
    b"   <!-- kept --></rdf:Description></rdf:RDF></x:xmpmeta>\n"
    + b" " * 2000
    + b'<?xpacket end="w"?>'
)
LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]>"
)
HOSTILE = {
    "billion laughs": LAUGHS + HEAD + b"<rdf:Description>&j;</rdf:Description>" + TAIL,
    "outside file": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    + HEAD
    + b"&x;"
    + TAIL,
    "not well-formed": LIGHTROOM[:700],
    "not XML": b"\x89PNG\r\n",
    "five megabytes": HEAD + b"<rdf:Description/>" * 290_000 + TAIL,
    "many": HEAD + b"<a/>" * 100_000 + TAIL,
    "many attributes": HEAD
    + b"<a "
    + b" ".join(b'a%d=""' % i for i in range(60_000))
    + b"/>"
    + TAIL,
    "deep": HEAD + b"<a>" * 50_000 + b"</a>" * 50_000 + TAIL,
    "no RDF": b"<html/>",
    "unbound prefix": HEAD + b"<nobody:a/>" + TAIL,
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?>' + HEAD + TAIL,
    "nothing": b" \0",
}
