"""The steps of a batch's pictures, alone or in groups; whoever runs the batch walks them.

A picture that fails becomes whatever `on_error` makes of it, at once: exceptions hold on to frames,
and those to pictures and tensors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError, OutOfMemoryError
from dit4sr_cli.core.words import as_reason
from dit4sr_cli.jobs import estimate, plan, steps
from dit4sr_cli.jobs.batch.request import Job, Request
from dit4sr_cli.jobs.record import Outcome
from dit4sr_cli.jobs.steps import Made, Opened

if TYPE_CHECKING:
    from dit4sr_cli.captions.source import Caption
    from dit4sr_cli.jobs.upscaler import Upscaler

Captions: TypeAlias = "Mapping[Path, Sequence[Caption]]"
"""What is said of each page of a picture; one that was written down stands for all."""
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Ready:
    """A picture that was read, and how many seconds it took so far."""

    job: Job
    opened: Opened
    seconds: float


def describe(
    jobs: Sequence[Job],
    request: Request,
    on_error: Callable[[Job, Exception], object],
    observe: events.Observer = events.ignore,
) -> dict[Path, Sequence[Caption]]:
    """Captions of all pictures, before the model is loaded: a captioner needs the room.

    A picture that fails is left out.

    Raises:
        ModelError, OutOfMemoryError: of the captioner; no other picture would fare better.
    """
    from dit4sr_cli.imaging import reader
    from dit4sr_cli.jobs.caption import finding

    captions: dict[Path, Sequence[Caption]] = {
        job.source: [job.caption] for job in jobs if job.caption is not None
    }
    with ExitStack() as stack:
        find = None
        for job in jobs:
            if job.caption is not None:
                continue
            find = find or stack.enter_context(
                finding(
                    prompt=request.upscale.prompt,
                    settings=request.caption,
                    device=request.model.device,
                    precision=request.model.precision,
                    seed=request.upscale.seed,
                    observe=observe,
                )
            )
            try:
                pages = reader.read(job.source, max_megapixels=request.output.max_megapixels)
                captions[job.source] = [find(job.source, page.pixels) for page in pages]
            except (ModelError, OutOfMemoryError):
                raise
            except Exception as error:
                on_error(job, error)
    return captions


def texts_of(captions: Captions) -> list[str]:
    """All that will be said to the model, once."""
    return list(dict.fromkeys(caption.text for told in captions.values() for caption in told))


def learn(upscaler: Upscaler, texts: Sequence[str], request: Request) -> None:
    """Encode all that will be said to the model, so that text encoders are read only once."""
    upscaler.learn(
        texts,
        suffix=request.caption.suffix,
        negative_prompt=request.upscale.negative_prompt,
        guidance=request.upscale.guidance,
    )


def open_picture(job: Job, observe: events.Observer) -> Ready:
    """Read a picture, and make the folder that its result goes to."""
    started = time.monotonic()
    job.target.parent.mkdir(parents=True, exist_ok=True)
    plan.check_source(job.source)
    opened = steps.open_source(job.request, observe)
    return Ready(job, opened, time.monotonic() - started)


def enlarge(
    group: Sequence[Ready],
    captions: Captions,
    upscaler: Upscaler,
    on_error: Callable[[Job, Exception], F],
    talk: Callable[[Job], events.Observer],
) -> list[Made | F]:
    """Enlarge pictures together, if they are alike, else or if that fails one by one."""
    if len(group) > 1 and _are_alike(group):
        told = [captions[ready.job.source][0] for ready in group]
        observe = _of_several(talk(group[0].job), len(group))
        try:
            return [*steps.enlarge_together([r.opened for r in group], told, upscaler, observe)]
        except Exception as error:
            reason = as_reason(error)
            observe(events.Noted(f"together they failed ({reason}), so they go one by one"))
    return [_alone(ready, captions, upscaler, on_error, talk) for ready in group]


def finish(ready: Ready, made: Made, seconds: float, observe: events.Observer) -> Outcome:
    """Write a picture that took so many seconds to enlarge.

    Those of the outcome are its own: neither of waiting, nor of those it shared a call with.
    """
    started = time.monotonic()
    outcome = steps.finish(ready.opened, made, observe)
    estimate.learn(made.records[0])
    total = ready.seconds + seconds + time.monotonic() - started
    return replace(outcome, seconds=round(total, 3))


def _alone(
    ready: Ready,
    captions: Captions,
    upscaler: Upscaler,
    on_error: Callable[[Job, Exception], F],
    talk: Callable[[Job], events.Observer],
) -> Made | F:
    pages = len(ready.opened.pages)
    told = captions[ready.job.source]
    told = [*told] * pages if len(told) == 1 else told[:pages]
    try:
        return steps.enlarge(ready.opened, told, upscaler, talk(ready.job))
    except Exception as error:
        return on_error(ready.job, error)


def _are_alike(group: Sequence[Ready]) -> bool:
    """Whether what was read is what the files' heads promised: one page each, of one size."""
    if any(ready.opened.is_large or len(ready.opened.pages) > 1 for ready in group):
        return False
    sizes = {(page.width, page.height) for ready in group for page in ready.opened.pages}
    return len(sizes) == 1


def _of_several(observe: events.Observer, count: int) -> events.Observer:
    def tell(event: events.Event) -> None:
        if isinstance(event, events.PhaseStarted):
            event = events.PhaseStarted(f"{count} pictures, {event.phase}", event.total)
        observe(event)

    return tell
