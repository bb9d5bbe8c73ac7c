"""Brings parts onto this machine: what is asked, what is missing, whether it fits, then the files.

Nothing else fetches weights, and nothing calls this without having been asked.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError, OutputError, UsageError
from dit4sr_cli.core.paths import models_dir
from dit4sr_cli.core.words import as_size, did_you_mean
from dit4sr_cli.weights import download, licence
from dit4sr_cli.weights.catalog import (
    DEFAULT_MODEL,
    MAIN,
    MODELS,
    PARTS,
    Kind,
    Part,
    parts_of,
)
from dit4sr_cli.weights.files import matches
from dit4sr_cli.weights.hub_errors import on_disk
from dit4sr_cli.weights.job import Job, Listing
from dit4sr_cli.weights.localcopy import Copy, copy_file, find_copy
from dit4sr_cli.weights.manifest import Manifest, PulledFile, is_there, write_manifest
from dit4sr_cli.weights.resolve import AUTO, NANO, resolve
from dit4sr_cli.weights.shelf import LOCKS_DIR, PARTIAL_DIR, OnShelf, State, look_up
from dit4sr_cli.weights.wanted import T5_FOLDERS, wanted

Accept = Callable[[Sequence[licence.Licence]], bool]
"""Is shown the licences that are not accepted yet; True: the user accepts them."""

_SPARE_BYTES = 50_000_000
"""Left free on the disk."""


@dataclass(frozen=True, slots=True)
class PulledPart:
    """A part that is here now. `num_fetched` of its `num_bytes` came with this pull."""

    name: str
    folder: Path
    commit: str
    num_bytes: int
    num_fetched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is wanted of one part; None: as it was pulled before, or the default."""

    part: Part
    revision: str | None
    dtype: str
    t5: bool | None
    source: Path | None


@dataclass(slots=True)
class _Order:
    """A part with what it lacks; the manifest is kept up as files arrive."""

    part: Part
    root: Path
    manifest: Manifest
    jobs: list[Job]
    copy: Copy | None = None
    obsolete: list[Path] = field(default_factory=list)
    """Files of an earlier pull that this one does not want any more."""

    def arrived(self, file: PulledFile) -> None:
        """Write down that a file is here and good."""
        files = tuple(file if f.path == file.path else f for f in self.manifest.files)
        self.manifest = replace(self.manifest, files=files)
        write_manifest(self.root, self.manifest)


def pull(
    names: Sequence[str] = (),
    *,
    dtype: str = "auto",
    t5: bool | None = None,
    captioner: str | None = None,
    revision: Sequence[str] = (),
    source: Path | None = None,
    accept: Accept | None = None,
    workers: int = 4,
    observe: events.TransferObserver = events.ignore,
) -> list[PulledPart]:
    """Fetch what models, bases or captioners need, and is not here yet.

    What is complete is left alone, at the commit that it has, unless a revision is asked for.

    Args:
        names: of models (their base comes along) or parts; none: the default model.
        dtype: which weights, where a folder has several: `fp32` the plain ones, `fp16`, `bf16` and
            `auto` the half-precision ones.
        t5: whether the base's third text encoder comes too; None: as before, or yes.
        captioner: one more name.
        revision: a branch, tag or commit of what was named, or `PART=REVISION`; several are fine.
        source: take the files from a copy below this folder; nothing is fetched.
        accept: is asked about licences; None: nobody can be asked.
        workers: files at a time.
        observe: hears of files and bytes, in this thread.

    Returns:
        All parts that were asked for, fetched now or before.

    Raises:
        UsageError: a name or an option makes no sense, or a licence is not accepted.
        ModelError: the repository, the revision or the files that are needed do not exist.
        NetworkError: see `download`; what has arrived is kept.
        OutputError: the disk is too small or may not be written.
    """
    names = list(names) or [DEFAULT_MODEL]
    parts = _parts([*names, *([captioner] if captioner else [])])
    revisions = _revisions(names, {part.name for part in parts}, revision)
    wishes = [
        _Wish(part=part, revision=revisions.get(part.name), dtype=dtype, t5=t5, source=source)
        for part in parts
    ]
    open_wishes = [wish for wish in wishes if not _is_settled(wish, look_up(wish.part.name))]
    _ask_licences([wish.part for wish in open_wishes], accept)
    with ExitStack() as locks:
        for wish in open_wishes:
            _lock(wish.part, locks)
        listings: dict[tuple[str, str], Listing] = {}
        orders = [_order(wish, listings, observe) for wish in open_wishes]
        _check_space(orders)
        _carry_out(orders, workers, observe)
    fetched = {order.part.name: sum(job.file.size for job in order.jobs) for order in orders}
    return [_outcome(part, fetched.get(part.name, 0)) for part in parts]


def ensure(
    model: str = AUTO,
    *,
    accept: Accept | None = None,
    workers: int = 4,
    observe: events.TransferObserver = events.ignore,
) -> list[PulledPart]:
    """Pull a model unless it is here already; `auto` stands for the default model.

    Returns:
        What was pulled; empty if nothing was missing.

    Raises:
        ModelError: the model is not a published one, and is not here.
        UsageError, NetworkError, OutputError: as `pull`.
    """
    try:
        if resolve(model).name != NANO or model == NANO:
            return []
    except ModelError:
        if model not in MODELS:
            raise
    name = DEFAULT_MODEL if model == AUTO else model
    return pull([name], accept=accept, workers=workers, observe=observe)


def _parts(names: Iterable[str]) -> list[Part]:
    """The parts behind names, each once."""
    parts: dict[str, Part] = {}
    for name in names:
        if name == NANO:
            raise UsageError(f"{NANO} comes with dit4sr: there is nothing to pull")
        if name not in PARTS:
            hint = did_you_mean(name, PARTS) or f"known are {', '.join(PARTS)}"
            raise ModelError(f"{name}: not known, so it cannot be pulled", hint=hint)
        parts |= {part.name: part for part in parts_of(name)}
    return list(parts.values())


def _revisions(
    names: Sequence[str], parts: Collection[str], revisions: Sequence[str]
) -> dict[str, str]:
    """By part; a plain revision is of the one name that was given, never of its base."""
    found: dict[str, str] = {}
    for text in revisions:
        name, equals, revision = text.partition("=")
        if not (revision if equals else text):
            raise UsageError(f"--revision {text!r}: names no revision", hint=f"such as {MAIN}")
        if equals and name in PARTS:
            if name not in parts:
                raise UsageError(f"--revision {text}: {name} is not among what is pulled")
            found[name] = revision
        elif len({PARTS[name].repo for name in names}) > 1:
            raise UsageError(
                f"--revision {text}: of which of {', '.join(names)}?",
                hint=f"write --revision {names[0]}={text}",
            )
        else:
            found |= dict.fromkeys(names, text)
    return found


def _is_settled(wish: _Wish, found: OnShelf) -> bool:
    """Whether nothing has to be asked or fetched."""
    if found.state is State.YOURS:
        return wish.revision is None
    if found.state is not State.PULLED or found.manifest is None:
        return False
    pulled = found.manifest
    return (
        wish.revision in (None, pulled.commit)
        and wish.dtype in ("auto", pulled.dtype)
        and (pulled.t5 or not wish.t5 or wish.part.kind is not Kind.BASE)
    )


def _ask_licences(parts: Iterable[Part], accept: Accept | None) -> None:
    """No byte is fetched under terms that the user has not seen."""
    open_terms = licence.missing(part.licence for part in parts)
    if not open_terms:
        return
    if accept is None or not accept(open_terms):
        titles = ", ".join(terms.title for terms in open_terms)
        urls = " and ".join(terms.url for terms in open_terms)
        raise UsageError(
            f"licence not accepted: {titles}", hint=f"read {urls}, then pass --accept-licence"
        )
    licence.accept(terms.key for terms in open_terms)


def _lock(part: Part, locks: ExitStack) -> None:
    """One process fills a folder at a time."""
    from filelock import FileLock, Timeout

    path = models_dir() / LOCKS_DIR / part.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        locks.enter_context(FileLock(path, timeout=0))
    except Timeout:
        raise OutputError(
            f"{models_dir() / part.name}: another dit4sr is filling this folder",
            hint="wait until it is done",
        ) from None
    except OSError as error:
        raise on_disk(error) from error


def _order(
    wish: _Wish, listings: dict[tuple[str, str], Listing], observe: events.TransferObserver
) -> _Order:
    """List the repository (once) or the copy, choose the files, and see which are here."""
    part, found = wish.part, look_up(wish.part.name)
    old = found.manifest or Manifest(part=part.name, repo=part.repo)
    dtype = wish.dtype if wish.dtype != "auto" else old.dtype.replace("auto", "fp16")
    t5 = part.kind is Kind.BASE and (old.t5 if wish.t5 is None else wish.t5 or _has_t5(found))
    copy = None
    if wish.source is not None:
        copy = find_copy(wish.source, part, wish.revision, found.root)
        revision, listing = wish.revision or "", copy.listing
    else:
        # What was begun is finished at the same commit, or its files would not fit together.
        revision = wish.revision or old.commit or MAIN
        if (part.repo, revision) not in listings:
            observe(events.Noted(f"{part.repo}: asking for revision {revision}"))
            listings[part.repo, revision] = download.list_files(part, revision)
        listing = listings[part.repo, revision]
    paths = wanted(part, (file.path for file in listing.files), dtype=dtype, t5=t5)
    files = _with_what_is_here(found, listing.choose(paths), observe)
    manifest = replace(
        old,
        revision=wish.revision or ("" if copy else old.revision),
        commit=listing.commit,
        dtype=dtype,
        t5=t5,
        source="copy" if copy else "hub",
        licences=(part.licence,),
        pulled_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        files=tuple(files),
    )
    jobs = [Job(part, found.root, listing.commit, f) for f in files if not f.is_verified]
    if copy is None and jobs:
        _check_gate(listing, jobs)
    kept = {file.path for file in files}
    obsolete = [found.root / file.path for file in old.files if file.path not in kept]
    return _Order(part, found.root, manifest, jobs, copy, obsolete)


def _has_t5(found: OnShelf) -> bool:
    """Whether T5 is here: a pull without it does not throw it away."""
    if found.manifest is None or not found.manifest.t5:
        return False
    files = [f for f in found.manifest.files if f.path.startswith(T5_FOLDERS)]
    return all(is_there(found.root, file) for file in files)


def _with_what_is_here(
    found: OnShelf, files: Iterable[PulledFile], observe: events.TransferObserver
) -> list[PulledFile]:
    """The same files, verified where the manifest says so or their bytes do."""
    known = {f.path: f for f in found.manifest.files} if found.manifest else {}
    result = []
    for file in files:
        old = known.get(file.path)
        is_good = old is not None and old.digest == file.digest and is_there(found.root, old)
        target = found.root / file.path
        if not is_good and file.digest and _has_size(target, file.size):
            observe(events.Noted(f"{target}: checking"))
            is_good = matches(target, file.digest)
        result.append(replace(file, is_verified=is_good))
    return result


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_gate(listing: Listing, jobs: Sequence[Job]) -> None:
    if listing.is_gated:
        download.check_access(jobs[0])


def _check_space(orders: Iterable[_Order]) -> None:
    """The disk must take everything, before the first byte of it."""
    needed = sum(job.file.size - job.num_arrived for order in orders for job in order.jobs)
    folder = models_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE_BYTES > free:
        raise OutputError(
            f"{models_dir()}: {as_size(needed)} are needed, {as_size(free)} are free on this disk",
            hint="free some space, set DIT4SR_HOME to another disk, or leave out T5 with --no-t5",
        )


def _carry_out(orders: Sequence[_Order], workers: int, observe: events.TransferObserver) -> None:
    jobs = {job.name: (order, job) for order in orders for job in order.jobs}
    try:
        for order in orders:
            write_manifest(order.root, order.manifest)
        observe(
            events.TransferStarted(
                sum(len(order.manifest.files) for order in orders),
                sum(order.manifest.num_bytes for order in orders),
                sum(f.size for order in orders for f in order.manifest.files if f.is_verified),
            )
        )

        def keep_up(event: events.TransferEvent) -> None:
            if isinstance(event, events.FileFinished):
                order, job = jobs[event.name]
                order.arrived(replace(job.file, is_verified=True))
            observe(event)

        for order in orders:
            if order.copy is not None:
                for job in order.jobs:
                    origin = order.copy.origins[job.file.path]
                    order.arrived(copy_file(job, origin, observe))
        to_fetch = [job for order in orders if order.copy is None for job in order.jobs]
        if to_fetch:
            # The largest first: at the end no single file is waited for.
            to_fetch.sort(key=lambda job: job.file.size, reverse=True)
            download.fetch(to_fetch, workers=workers, observe=keep_up)
        for order in orders:
            _tidy(order)
    except OSError as error:
        raise on_disk(error) from error


def _tidy(order: _Order) -> None:
    """Delete what no longer belongs to the part, once all that does is here."""
    for path in order.obsolete:
        path.unlink(missing_ok=True)
    if (order.root / PARTIAL_DIR).is_dir():
        shutil.rmtree(order.root / PARTIAL_DIR)


def _outcome(part: Part, num_fetched: int) -> PulledPart:
    found = look_up(part.name)
    manifest = found.manifest
    num_bytes = manifest.num_bytes if manifest else 0
    commit = manifest.commit if manifest else ""
    return PulledPart(part.name, found.root, commit, num_bytes, num_fetched)
