"""How a picture was made, written into it and beside it, and read back; see docs/record.md."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dit4sr_cli import __version__
from dit4sr_cli.captions.prompts import QUALITY_SUFFIX
from dit4sr_cli.core import events
from dit4sr_cli.core.digest import sha256_of
from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.parts import part_of
from dit4sr_cli.imaging import xmp
from dit4sr_cli.imaging.xmp import BrokenXmpError, Stamp

if TYPE_CHECKING:
    from dit4sr_cli.imaging.picture import Picture
    from dit4sr_cli.jobs.record import Record
    from dit4sr_cli.jobs.steps import Made, Opened

Provenance: TypeAlias = "dict[str, Any]"
"""The record as JSON; docs/record.md lists its fields."""

SCHEMA = 1
ENHANCED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""A photograph in which a generative model has drawn: `algorithmicallyEnhanced` is kept by IPTC
for corrections that invent nothing, and a claim of less than was done would mislead."""

_LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "pyvips")
_EFFECTIVE = (
    *("steps", "guidance", "start", "color_fix", "tile", "overlap", "grid", "shift", "solver"),
    *("guidance_from", "guidance_to", "reuse", "coarse"),
)
_TIMES = ("made", "checksum")  # what the checksum does not cover
_LONG = ("text", "negative", "suffix", "captions")  # the first follows from the others
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, xmp.DIT4SR)
_SHAPE = {
    "schema": int,
    "tool": {"version": str},
    "source": {"name": str, "sha256": str, "size": [int]},
    "model": {"name": str, "revision": str, "weights": dict, "licences": list},
    "prompt": {"origin": str},
    "settings": {"seed": int, "steps": int, "guidance": (int, float)},
    "machine": {"device": str, "dtype": str},
    "libraries": dict,
    "output": {"format": str, "quality": int, "pages": [{"size": [int], "pixels": str}]},
    "made": str,
    "checksum": str,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A picture's record, and where it stands: `xmp` or `sidecar`.

    Args:
        mirrors: our other properties in the XMP, which repeat parts of the record.
    """

    record: Provenance
    place: str
    mirrors: dict[str, str]


# ------------------------------------------------------------------------- made


def hash_source(source: Path | bytes) -> str:
    """SHA-256 of a file's bytes; empty for what can be read only once."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if not stat.S_ISREG(source.stat().st_mode):
        return ""
    return sha256_of(source)


def build(opened: Opened, made: Made, observe: events.Observer = events.ignore) -> Provenance:
    """The record of a run; the same run gives the same, but for `made`."""
    first = made.records[0]
    record: Provenance = {
        "schema": SCHEMA,
        "tool": {"name": "dit4sr", "version": __version__},
        "source": {
            "name": _name_of(opened.request.source),
            "sha256": opened.source_sha256 or hash_source(opened.request.source),
            "size": list(first.input_size),
        },
        "model": _model(opened, first, observe),
        "prompt": _prompt(opened, made.records),
        "settings": _settings(opened, first),
        "machine": _machine(opened, first),
        "libraries": libraries(),
        "output": _output(opened, made),
        "digital_source_type": ENHANCED,
    }
    if first.fidelity is not None:
        record["fidelity"] = first.fidelity
    return sealed({**record, "made": _now()})


def sealed(record: Provenance) -> Provenance:
    """With the checksum of all that is in it, times excepted."""
    return {**record, "checksum": checksum(record)}


def checksum(record: Provenance) -> str:
    """SHA-256 of the record as JSON without spaces, keys sorted; it guards against accidents."""
    kept = {key: value for key, value in record.items() if key not in _TIMES}
    return hashlib.sha256(_compact(kept).encode()).hexdigest()


def _name_of(source: Path | bytes) -> str:
    return "-" if isinstance(source, bytes) else xmp.as_text(source.name)


def _model(opened: Opened, first: Record, observe: events.Observer) -> dict[str, Any]:
    from dit4sr_cli.weights.identity import licences, weight_digests

    return {
        "name": first.model,
        "revision": first.revision,
        "weights": weight_digests(opened.model, t5=opened.request.model.t5, observe=observe),
        "licences": licences(opened.model),
    }


def _prompt(opened: Opened, records: Sequence[Record]) -> dict[str, Any]:
    """`captions` are those of the pages; `text` is what the model read for the first."""
    if not opened.model.spec.text:
        return {"captions": [""] * len(records), "origin": "none"}
    suffix = opened.request.caption.suffix
    return {
        "captions": [record.caption for record in records],
        "origin": _without_folder(records[0].prompt_origin),
        "suffix": QUALITY_SUFFIX if suffix is None else suffix,
        "text": records[0].prompt,
        "negative": records[0].negative_prompt,
    }


def _without_folder(origin: str) -> str:
    """`sidecar:/home/me/photo.txt` is nobody's business but for `sidecar:photo.txt`."""
    kind, colon, path = origin.partition(":")
    return f"{kind}:{Path(path).name}" if colon and kind != "captioner" else origin


def _settings(opened: Opened, first: Record) -> dict[str, Any]:
    """What was asked for; where that was left to the model, what was done."""
    asked = asdict(opened.request.upscale)
    del asked["prompt"], asked["negative_prompt"]
    asked |= {name: getattr(first, name) for name in _EFFECTIVE}
    return {name: getattr(value, "value", value) for name, value in asked.items()}


def _machine(opened: Opened, first: Record) -> dict[str, Any]:
    settings = opened.request.model
    return {
        "device": first.device,
        "dtype": first.dtype,
        "t5": settings.t5,
        "low_memory": settings.low_memory,
        "quantize": first.quantize,
    }


def libraries() -> dict[str, str]:
    """Versions of what has a say in the pixels."""
    import pyvips

    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return {**found, "libvips": ".".join(str(pyvips.version(i)) for i in range(3))}


def _output(opened: Opened, made: Made) -> dict[str, Any]:
    from dit4sr_cli.imaging import fingerprint

    format, quality = opened.format, opened.request.output.quality
    pixels = [fingerprint.as_written(page, format, quality) for page in made.pages]
    sizes = [list(record.output_size) for record in made.records]
    pages = [{"size": size, "pixels": digest} for size, digest in zip(sizes, pixels, strict=True)]
    return {"format": format, "quality": quality, "pages": pages}


def _now() -> str:
    """Seconds in UTC; SOURCE_DATE_EPOCH stops the clock, for files that are the same to a byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(epoch) if epoch.isdecimal() else int(time.time())
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


# ------------------------------------------------------------------------- written


def stamped(
    pages: Sequence[Picture], record: Provenance, format: str, observe: events.Observer
) -> list[Picture]:
    """The pages with the record in their XMP; what does not fit into a JPEG is left out."""
    limit = xmp.LARGEST_IN_JPEG if format == "jpeg" else None
    return [_stamped(page, n, record, limit, observe) for n, page in enumerate(pages, start=1)]


def _stamped(
    page: Picture, number: int, record: Provenance, limit: int | None, observe: events.Observer
) -> Picture:
    packet = page.metadata.xmp
    try:
        joined = xmp.join(packet, _stamp(record, number), limit=limit)
    except BrokenXmpError as error:
        observe(events.Warned(f"{page.name}: its XMP is replaced: {error}"))
        packet = None
        joined = xmp.join(packet, _stamp(record, number))
    lost = list(joined.dropped)
    for key in _LONG:
        if limit is None or len(joined.packet) <= limit:
            break
        record = _without(record, key)
        lost.append(f"the record's {key}")
        joined = xmp.join(packet, _stamp(record, number), limit=limit)
    if limit is not None and len(joined.packet) > limit:
        lost.append("all else of its XMP")
        joined = xmp.join(None, _stamp(record, number))
    if lost:
        kept = "png and tiff hold it all, and --sidecar the record"
        observe(events.Warned(f"{page.name}: too long for jpeg: {', '.join(lost)} ({kept})"))
    return replace(page, metadata=replace(page.metadata, xmp=joined.packet))


def _without(record: Provenance, key: str) -> Provenance:
    """The record less one of its long texts, and with a word that it is not whole."""
    prompt = {k: v for k, v in record["prompt"].items() if k != key}
    omitted = [*record.get("omitted", ()), f"prompt.{key}"]
    return sealed({**record, "prompt": prompt, "omitted": omitted})


def _stamp(record: Provenance, number: int) -> Stamp:
    return Stamp(
        properties={**mirrors(record, number), "Record": _compact(record)},
        source_type=ENHANCED,
        event={
            "action": "edited",
            "when": record["made"],
            "softwareAgent": f"dit4sr {record['tool']['version']}",
            "parameters": _in_words(record, number),
            "changed": "/",
        },
        uuid=str(uuid.uuid5(_NAMESPACE, f"{record['checksum']} {number}")),
    )


def mirrors(record: Provenance, number: int) -> dict[str, str]:
    """The properties that other programs can show and search, each a copy out of the record."""
    settings, output = record["settings"], record["output"]
    values = {
        "Version": record["tool"]["version"],
        "Model": record["model"]["name"],
        "ModelRevision": record["model"]["revision"],
        "Seed": settings["seed"],
        "SourceName": record["source"]["name"],
        "SourceSHA256": record["source"]["sha256"],
        "PixelsSHA256": output["pages"][number - 1]["pixels"],
        "Page": f"{number}/{len(output['pages'])}",
    }
    return {name: str(value) for name, value in values.items() if value != ""}


def _in_words(record: Provenance, number: int) -> str:
    settings = record["settings"]
    size = "x".join(map(str, record["output"]["pages"][number - 1]["size"]))
    return (
        f"enlarged to {size} with {record['model']['name']}: {settings['steps']} steps, "
        f"guidance {settings['guidance']:g}, seed {settings['seed']}"
    )


def sidecar_of(target: Path) -> Path:
    """out.png.json for out.png."""
    return target.with_name(f"{target.name}.json")


def check_sidecar(target: Path | None, *, overwrite: bool) -> None:
    """Find out before the work whether the record can stand beside the result.

    Raises:
        UsageError, OutputError: it cannot.
    """
    from dit4sr_cli.imaging.writer import check_target

    if target is None:
        raise UsageError("--sidecar: standard output has no place beside it", hint="name a file")
    check_target(sidecar_of(target), overwrite=overwrite)


@contextlib.contextmanager
def recorded(
    opened: Opened, made: Made, observe: events.Observer = events.ignore
) -> Iterator[list[Picture]]:
    """The pages to write, with the record if it is wanted; a sidecar comes after them.

    Raises:
        ModelError: the weights are gone.
        OutputError: the sidecar cannot be written.
    """
    settings, pages = opened.request.output, made.pages
    with contextlib.ExitStack() as stack:
        if settings.is_recorded:
            record = build(opened, made, observe)
            if settings.record:
                pages = stamped(pages, record, opened.format, observe)
            if settings.sidecar and opened.target is not None:
                stack.enter_context(beside(opened.target, record))
        yield pages


@contextlib.contextmanager
def beside(target: Path, record: Provenance) -> Iterator[None]:
    """Write the record beside a picture that is put in place meanwhile: both, or neither.

    It is on the disk whole before the picture is, and takes its name right after.
    """
    place = sidecar_of(target.resolve())
    temporary = part_of(place)
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        yield
        temporary.replace(place)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _compact(values: Any) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


# ------------------------------------------------------------------------- read


def find(path: Path, data: memoryview, kind: str) -> Found:
    """A picture's record: the one in it, or where that is not there or not whole, beside it.

    Raises:
        InputError: there is none.
    """
    inside = _inside(path, data, kind)
    if inside is None or "omitted" in inside.record:
        beside = _beside(path)
        if beside is not None:
            return beside
    if inside is None:
        raise InputError(
            f"{path}: has no record of how it was made",
            hint="only dit4sr writes one, and not with --no-record",
        )
    return inside


def _inside(path: Path, data: memoryview, kind: str) -> Found | None:
    found = xmp.packet_of(data, kind)
    if found is None:
        return None
    try:
        ours = xmp.properties(found)
    except BrokenXmpError as error:
        raise InputError(f"{path}: its XMP cannot be read: {error}") from error
    text = ours.pop("Record", None)
    return None if text is None else Found(_parsed(text, path), "xmp", ours)


def _beside(path: Path) -> Found | None:
    place = sidecar_of(path)
    if not place.is_file():
        return None
    try:
        return Found(_parsed(place.read_text(encoding="utf-8"), place), "sidecar", {})
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: cannot be read ({error})") from error


def _parsed(text: str, path: Path) -> Provenance:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its record is damaged ({error})") from error
    schema = record.get("schema") if isinstance(record, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(f"{path}: its record is of a newer dit4sr", hint="update dit4sr")
    if not _fits(record, _SHAPE):
        raise InputError(f"{path}: its record is damaged (fields are missing)")
    return record


def _fits(value: Any, shape: Any) -> bool:
    """Whether all that is read without asking is there: anybody can write a record."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_fits(value.get(k), s) for k, s in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and bool(value) and all(_fits(v, shape[0]) for v in value)
    return isinstance(value, shape)
