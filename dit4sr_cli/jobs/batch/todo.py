"""Which pictures of a batch are still to be made, and what decides about that."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dit4sr_cli.core.errors import Dit4srError
from dit4sr_cli.core.types import CaptionChoice
from dit4sr_cli.jobs import plan, provenance
from dit4sr_cli.jobs.batch.ledger import Ledger
from dit4sr_cli.jobs.batch.request import Job, Request
from dit4sr_cli.jobs.journal import Happened, Journal, Stamp, digest

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.weights.resolve import Resolved

DONE_BEFORE = "done before"


@dataclass(frozen=True, slots=True)
class Common:
    """What is the same for all pictures: the model, a digest of the settings, who is asked."""

    model: Resolved
    settings: str
    captioner: str | None


def common(request: Request) -> Common:
    """What is the same for all pictures of a batch.

    Raises:
        ModelError: the model or a captioner that was named is not there.
    """
    from dit4sr_cli.weights.resolve import resolve

    model = resolve(request.model.model)
    return Common(model, settings_digest(request, model), _captioner(request, model))


def settings_digest(request: Request, model: Resolved) -> str:
    """A digest of all that decides about pixels and files, but for picture and caption.

    Not of where it is computed, nor of the version: an archive is finished after an update, too.
    """
    from dit4sr_cli.weights.identity import weight_digests

    return digest(
        [
            _given(request.upscale),
            _given(request.output, but=("target", "overwrite", "max_megapixels")),
            _given(request.model, but=("model", "device", "low_memory")),
            request.caption.suffix,
            model.name,
            model.revision or weight_digests(model, t5=request.model.t5),
        ]
    )


def unfinished(request: Request, known: Common, ledger: Ledger) -> list[Job]:
    """The pictures that are to be made; the others are settled."""
    jobs = []
    for source, target in request.targets.items():
        try:
            job = _job(source, target, request, known)
        except Exception as error:
            ledger.settle(ledger.failed(source, target, error))
            continue
        if reason := why_not(job, request, ledger.log):
            ledger.settle(ledger.skipped(job, reason))
        else:
            jobs.append(job)
    return jobs


def missing(request: Request) -> dict[Path, Path]:
    """The targets that are not done yet; only looks."""
    known, log = common(request), Journal(request.folder)
    left = {}
    for source, target in request.targets.items():
        with contextlib.suppress(Dit4srError):  # its caption cannot be read: for the run to say
            job = _job(source, target, request, known)
            if log.is_done(source, target, job.settings):
                continue
        left[source] = target
    return left


def _job(source: Path, target: Path, request: Request, known: Common) -> Job:
    caption = _caption(source, request, known)
    # A caption that will be asked for stands for itself by who is asked: it is always the same.
    said = known.captioner if caption is None else caption.text
    return Job(
        request=plan.Request(
            source=source,
            upscale=request.upscale,
            caption=request.caption,
            model=request.model,
            output=replace(request.output, target=target),
        ),
        source=source,
        target=target,
        settings=digest([known.settings, said]),
        caption=caption,
    )


def why_not(job: Job, request: Request, log: Journal) -> str:
    """Why a picture need not be made; empty: it must be."""
    if log.is_done(job.source, job.target, job.settings):
        return DONE_BEFORE
    if start := log.unrecorded(job.source, job.target, job.settings):
        if not request.output.sidecar or provenance.sidecar_of(job.target).exists():
            result = Stamp.of(job.target)
            log.add(replace(start, event=Happened.DONE, result=result, time=0.0))
            return DONE_BEFORE
        job.target.unlink()  # the run was killed between the picture and its sidecar
    return "exists already" if request.skip_existing and job.target.exists() else ""


def _given(settings: Any, but: Sequence[str] = ()) -> dict[str, Any]:
    """What was set: fields that a later version adds do not make all work undone."""
    values = {f.name: (getattr(settings, f.name), f.default) for f in fields(settings)}
    return {k: v for k, (v, default) in values.items() if v != default and k not in but}


def _captioner(request: Request, model: Resolved) -> str | None:
    """Who will be asked for captions that nobody has written down; None: nobody."""
    from dit4sr_cli.weights.resolve import resolve_captioner

    if not model.spec.text or request.caption.caption is CaptionChoice.NONE:
        return None
    found = resolve_captioner(request.caption.captioner)
    return None if found is None else f"{found.name}@{found.revision}"


def _caption(source: Path, request: Request, known: Common) -> Caption | None:
    """What was written about a picture; None: the captioner is to be asked."""
    from dit4sr_cli.captions.source import NO_CAPTION, written_caption

    if not known.model.spec.text:
        return NO_CAPTION
    found = written_caption(
        source,
        prompt=request.upscale.prompt,
        prompt_file=request.caption.prompt_file,
        prompts=request.caption.prompts,
    )
    return NO_CAPTION if found is None and known.captioner is None else found
