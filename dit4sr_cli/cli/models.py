"""`dit4sr models`: which weights there are, and how they come, are checked and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from dit4sr_cli.cli import consent, options
from dit4sr_cli.cli.console import console
from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.core.types import Precision
from dit4sr_cli.core.words import as_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dit4sr_cli.core.events import TransferObserver
    from dit4sr_cli.weights.inventory import Entry
    from dit4sr_cli.weights.pull import PulledPart
    from dit4sr_cli.weights.shelf import OnShelf
    from dit4sr_cli.weights.verify import Verified

app = typer.Typer(help="See, pull, check and remove models.")

_NONE = "none"
_HEADINGS = ("", "NAME", "KIND", "STATE", "SIZE", "STEPS", "GUIDANCE", "LICENCE")


@app.command("list")
def list_models(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """List models, bases and captioners: those here, and those that can be pulled."""
    from dit4sr_cli.weights.inventory import entries
    from dit4sr_cli.weights.resolve import resolve, resolve_captioner

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    found = entries()
    auto = resolve().name
    captioner = resolve_captioner()
    marked = {auto, captioner.name if captioner else ""}
    rows = [_HEADINGS, *(_row(entry, is_auto=entry.name in marked) for entry in found)]
    console.result(
        f"{_as_table(rows)}\n* what auto takes",
        {
            "command": "models list",
            "auto": auto,
            "captioner": captioner.name if captioner else None,
            "models": [entry.as_json() for entry in found],
        },
    )
    for entry in found:
        if entry.problem:
            console.warn(entry.problem)


@app.command()
def pull(
    names: options.ModelNames = None,
    t5: options.T5 = None,
    captioner: options.PulledCaptioner = _NONE,
    dtype: options.WeightDtype = Precision.AUTO,
    revision: options.Revision = None,
    source: options.From = None,
    accept_licence: options.AcceptLicence = False,
    jobs: options.Jobs = 4,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Fetch models (by default dit4sr-q), bases or captioners; what is here already is kept."""
    from dit4sr_cli.cli.transfer import Transfer
    from dit4sr_cli.weights import pull as weights

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    with Transfer() as transfer:
        parts = weights.pull(
            names or (),
            dtype=dtype.value,
            t5=t5,
            captioner=None if captioner == _NONE else captioner,
            revision=revision or (),
            source=source,
            accept=consent.licences(are_accepted=accept_licence),
            workers=jobs,
            observe=transfer,
        )
    for part in parts:
        console.summary(_pulled_line(part))
    _advise_captioner(parts)
    if json:
        console.json({"command": "models pull", "parts": [_pulled_json(part) for part in parts]})


@app.command()
def path(
    name: options.OptionalModelName = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Print the folder of a model; without a name, the one in which models are looked for."""
    from dit4sr_cli.core.paths import models_dir
    from dit4sr_cli.weights.catalog import MODELS, PARTS
    from dit4sr_cli.weights.resolve import resolve
    from dit4sr_cli.weights.shelf import look_up

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if name is None:
        folder = models_dir()
    elif name in PARTS and name not in MODELS:
        folder = _usable(look_up(name)).folder
    else:
        folder = resolve(name).folder
    record = {"command": "models path", "folder": str(folder)}
    console.result(str(folder), record if name is None else {**record, "name": name})


@app.command()
def info(
    name: options.ModelName,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Show all that is known of a model, base or captioner, pulled or not."""
    from dit4sr_cli.weights.inventory import entry

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    found = entry(name)
    record = _info(found)
    console.result("\n".join(_as_lines(record)), {"command": "models info", **record})


@app.command()
def verify(
    names: options.ModelNames = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Read every byte of models again (by default all that are here) and compare checksums."""
    from dit4sr_cli.cli.transfer import Transfer

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    with Transfer() as observe:
        results = [_verified(name, observe) for name in _parts_of(names) or _all_here()]
    bad = [result for result in results if result.problems]
    if bad:
        console.detail("; ".join(f"{p.path}: {p.what}" for r in bad for p in r.problems))
        raise _broken(bad)
    console.result(
        "\n".join(_verified_line(result) for result in results),
        {"command": "models verify", "models": [_verified_json(result) for result in results]},
    )


@app.command()
def remove(
    name: options.ModelName,
    base: options.WithBase = False,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Delete a model from the disk, and its base once no other model needs it."""
    from dit4sr_cli.weights.removal import plan_removal
    from dit4sr_cli.weights.shelf import num_bytes
    from dit4sr_cli.weights.shelf import remove as delete

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    roots = plan_removal(name, with_base=base)
    size = as_size(sum(num_bytes(root) for root in roots))
    if not yes:
        question = f"Delete {' and '.join(map(str, roots))} ({size})?"
        if not consent.can_ask():
            raise UsageError(f"nobody to ask: {question}", hint="pass --yes")
        if not consent.ask(question):
            raise UsageError("nothing was deleted")
    freed = sum(delete(root) for root in roots)
    console.summary(f"{name}: {as_size(freed)} freed")
    if json:
        folders = [str(root) for root in roots]
        console.json({"command": "models remove", "folders": folders, "freed_bytes": freed})


def _row(entry: Entry, *, is_auto: bool) -> tuple[str, ...]:
    spec = entry.spec
    return (
        "*" if is_auto else "",
        entry.name,
        entry.kind,
        entry.state,
        _size(entry),
        str(spec.steps) if spec else "-",
        f"{spec.guidance:g}" if spec else "-",
        entry.licence or "-",
    )


def _size(entry: Entry) -> str:
    """On disk; in brackets, about what a pull would fetch."""
    if entry.num_bytes or entry.on_shelf is None:
        return as_size(entry.num_bytes)
    return f"({entry.on_shelf.part.gigabytes:g} GB)"


def _as_table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _pulled_line(part: PulledPart) -> str:
    at = f" at {part.commit[:12]}" if part.commit else ""
    if not part.num_fetched:
        return f"{part.name}: already here{at}, in {part.folder}"
    return f"{part.name}: {as_size(part.num_fetched)} fetched{at}, in {part.folder}"


def _pulled_json(part: PulledPart) -> dict[str, Any]:
    return {
        "name": part.name,
        "folder": str(part.folder),
        "commit": part.commit or None,
        "bytes": part.num_bytes,
        "fetched_bytes": part.num_fetched,
    }


def _advise_captioner(parts: Iterable[PulledPart]) -> None:
    """The published models were made for captions: say how to get them."""
    from dit4sr_cli.weights.catalog import MODELS
    from dit4sr_cli.weights.resolve import resolve_captioner

    if any(part.name in MODELS for part in parts) and resolve_captioner() is None:
        console.summary("no captioner is here; for one: dit4sr models pull qwen3-vl-2b")


def _usable(found: OnShelf) -> OnShelf:
    if not found.is_usable:
        raise ModelError(
            f"{found.part.name}: {found.state.value}",
            hint=f"dit4sr models pull {found.part.name}",
        )
    return found


def _info(entry: Entry) -> dict[str, Any]:
    """All fields in the order in which they are shown; those that say nothing are left out."""
    from dit4sr_cli.weights.catalog import parts_of
    from dit4sr_cli.weights.shelf import look_up

    record: dict[str, Any] = {"name": entry.name, "kind": entry.kind, "state": entry.state}
    if entry.problem:
        record["problem"] = entry.problem
    if entry.spec is not None:
        for key in ("steps", "guidance", "wiring", "injection_scale", "base"):
            record[key] = getattr(entry.spec, key)
    record |= {"folder": str(entry.folder), "bytes": entry.num_bytes}
    if entry.on_shelf is not None:
        record["parts"] = [_part_info(look_up(part.name)) for part in parts_of(entry.name)]
    record |= _licence_info(entry.licence)
    return {key: value for key, value in record.items() if value not in (None, "")}


def _part_info(found: OnShelf) -> dict[str, Any]:
    from dit4sr_cli.weights.shelf import num_bytes

    part, manifest = found.part, found.manifest
    record: dict[str, Any] = {
        "name": part.name,
        "state": found.state.value,
        "repository": part.url,
        "gated": part.gated,
        "folder": str(found.root),
        "bytes": num_bytes(found.root),
        "bytes_to_pull": int(part.gigabytes * 1e9),
        **_licence_info(part.licence),
    }
    if manifest is not None:
        record |= {
            "revision": manifest.revision,
            "commit": manifest.commit,
            "dtype": manifest.dtype,
            "source": manifest.source,
            "pulled_at": manifest.pulled_at,
            "files": len(manifest.files),
        }
        if part.kind.value == "base":
            record["t5"] = manifest.t5
    return record


def _licence_info(key: str) -> dict[str, Any]:
    from dit4sr_cli.weights.licence import LICENCES, accepted_at

    terms = LICENCES.get(key)
    if terms is None:
        return {"licence": key}
    record = {"licence": terms.title, "licence_url": terms.url}
    if terms.needs_consent:
        record["licence_accepted"] = accepted_at(key) or "not yet"
    return record


def _as_lines(record: dict[str, Any], indent: str = "") -> Iterator[str]:
    """A record as text, a field a line; the records in it follow, indented."""
    for key, value in record.items():
        if isinstance(value, list):
            for inner in value:
                yield ""
                yield from _as_lines(inner, indent + "  ")
            yield ""
        else:
            shown = as_size(value) if key.startswith("bytes") else value
            yield f"{indent}{key.replace('_', ' '):<17} {shown}"


def _all_here() -> list[str]:
    from dit4sr_cli.weights.inventory import entries
    from dit4sr_cli.weights.shelf import State

    return [entry.name for entry in entries() if entry.state != State.ABSENT.value]


def _parts_of(names: Sequence[str] | None) -> list[str]:
    """What has to be read for these names, each part once; a model's base belongs to it."""
    from dit4sr_cli.weights.catalog import PARTS, parts_of

    found = [[part.name for part in parts_of(n)] if n in PARTS else [n] for n in names or ()]
    return list(dict.fromkeys(name for group in found for name in group))


def _verified(name: str, observe: TransferObserver) -> Verified:
    from dit4sr_cli.weights.catalog import PARTS
    from dit4sr_cli.weights.resolve import resolve
    from dit4sr_cli.weights.shelf import State, look_up
    from dit4sr_cli.weights.verify import verify_folder, verify_part

    if name not in PARTS:
        return verify_folder(name, resolve(name).folder)
    found = look_up(name)
    return verify_part(_usable(found) if found.state is State.ABSENT else found, observe)


def _verified_line(result: Verified) -> str:
    how = "checksums are right" if result.checked_by == "sha256" else "complete, by their headers"
    return f"{result.name}: {result.num_files} files, {how}"


def _verified_json(result: Verified) -> dict[str, Any]:
    return {
        "name": result.name,
        "folder": str(result.folder),
        "files": result.num_files,
        "checked_by": result.checked_by,
    }


def _broken(bad: Sequence[Verified]) -> ModelError:
    from dit4sr_cli.weights.catalog import PARTS

    problems = [f"{p.path} ({p.what})" for result in bad for p in result.problems]
    more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
    names = [result.name for result in bad if result.name in PARTS]
    hint = f"dit4sr models pull {' '.join(names)} fetches only these"
    return ModelError(
        f"{len(problems)} bad files: {', '.join(problems[:5])}{more}",
        hint=hint if names else "put a good copy in their place",
    )
