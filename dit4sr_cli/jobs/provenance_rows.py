"""A record for people: name and value of each line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dit4sr_cli.jobs.provenance import Provenance


def rows(record: Provenance) -> Iterator[tuple[str, str]]:
    """Name and value; of digests the first digits, of what was left out nothing."""
    return ((name, value) for name, value in _all(record) if value)


def _all(record: Provenance) -> Iterator[tuple[str, str]]:
    model, prompt, output = record["model"], record["prompt"], record["output"]
    yield "made", f"{record['made']} by dit4sr {record['tool']['version']}"
    yield "source", f"{record['source']['name']} {_size(record['source']['size'])}"
    yield "source sha256", record["source"]["sha256"][:16]
    pages = f", {len(output['pages'])} pages" if len(output["pages"]) > 1 else ""
    yield "result", f"{output['format']} {_size(output['pages'][0]['size'])}{pages}"
    yield "pixels sha256", output["pages"][0]["pixels"][:16]
    revision = f" at {model['revision'][:12]}" if model["revision"] else ""
    yield "model", f"{model['name']}{revision}"
    yield "weights sha256", ", ".join(f"{k} {str(v)[:12]}" for k, v in model["weights"].items())
    yield "licence", "; ".join(str(x.get("name", "")) for x in model["licences"])
    yield "prompt", str(prompt.get("text", ""))
    yield "prompt from", "" if prompt["origin"] == "none" else prompt["origin"]
    yield "negative", str(prompt.get("negative", ""))
    for name, value in record["settings"].items():
        yield name.replace("_", " "), "" if value is None else str(value)
    machine = record["machine"]
    quantize = machine.get("quantize", "none")
    bits = "" if quantize == "none" else f", {quantize}"
    yield "computed", f"{machine['device']}, {machine['dtype']}{bits}"
    yield "libraries", ", ".join(f"{name} {value}" for name, value in record["libraries"].items())
    for name, value in record.get("fidelity", {}).items():
        yield f"fidelity {name}".replace("_", " "), str(value) if _is_plain(value) else ""
    yield "left out", ", ".join(record.get("omitted", []))


def _size(sides: list[int]) -> str:
    return "x".join(map(str, sides))


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (dict, list))
