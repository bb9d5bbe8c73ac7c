"""All that can be done on the page, in plain functions: the page only shows and calls."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import Dit4srError
from dit4sr_cli.ui import form, trial
from dit4sr_cli.ui.desk import Desk, Photo, Progress, State
from dit4sr_cli.ui.form import Choices, Fixed
from dit4sr_cli.ui.held import HeldModel
from dit4sr_cli.ui.names import plain_name
from dit4sr_cli.ui.worker import Kind, Task, Worker

if TYPE_CHECKING:
    from dit4sr_cli.jobs.plan import Request
    from dit4sr_cli.jobs.upscale import Loader

Explain = Callable[[Exception], Dit4srError]


class Studio:
    """A desk, the one who works at it, and the model.

    Args:
        folder: private, for everything; whoever made it removes it.
        fixed: what holds for all pictures.
        load: makes a model.
        explain: an error of a library as one of ours.
    """

    def __init__(self, folder: Path, fixed: Fixed, *, load: Loader, explain: Explain) -> None:
        self.choices = Choices(model=fixed.model.model)
        self.desk = Desk()
        self.fixed = fixed
        self._folder = folder
        self._model = HeldModel(load)
        self._explain = explain
        self._worker = Worker()

    # ------------------------------------------------------------------ photographs

    def place_for(self, sent_name: str) -> tuple[str, Path]:
        """A key and a file for a photograph that comes; its folder is made.

        Raises:
            InputError: a name that is none.
        """
        name = plain_name(sent_name)
        key = secrets.token_urlsafe(16)
        folder = self._folder / key / "in"
        folder.mkdir(parents=True, mode=0o700)
        return key, folder / name

    def take(self, key: str, source: Path) -> Photo:
        """Put a file that has arrived on the desk.

        Raises:
            InputError: it is no picture, or too large; it is gone then.
        """
        from dit4sr_cli.imaging.header import read_header

        try:
            header = read_header(source, max_megapixels=self.fixed.max_megapixels)
        except Dit4srError:
            self.forget(source)
            raise
        photo = Photo(
            key=key, name=source.name, source=source, size=header.size, pages=header.pages
        )
        self.desk.put(photo)
        return photo

    def forget(self, source: Path) -> None:
        """Remove what did not arrive whole."""
        shutil.rmtree(source.parent.parent, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Take a photograph from the desk, whatever is being done with it."""
        self._worker.cancel(key, *Kind)
        self.desk.remove(key)

    # ------------------------------------------------------------------------- work

    def enlarge(self, key: str, choices: Choices) -> None:
        """Put it in line.

        Raises:
            UsageError, ModelError: the settings make no sense.
        """
        photo = self.desk.get(key)
        if photo is None or photo.state in (State.WAITING, State.RUNNING):
            return
        run = photo.run + 1
        target = photo.folder / f"out-{run}"
        request = form.request_for(photo, choices, self.fixed, target)
        self.desk.change(key, state=State.WAITING, problem="", progress=Progress())
        task = Task(
            key,
            Kind.WHOLE,
            work=lambda check: self._enlarge(key, request, run, check),
            called_off=lambda: self._called_off(key, target),
        )
        self._worker.submit(task)

    def try_spot(self, key: str, choices: Choices) -> None:
        """Try the part around the photograph's spot; it goes before all whole pictures.

        Raises:
            UsageError, ModelError: the settings make no sense.
        """
        photo = self.desk.get(key)
        if photo is None or photo.trying:
            return
        request = form.request_for(photo, choices, self.fixed, photo.folder)
        words = form.in_words(choices)
        self.desk.change(key, trying="waits for its turn" if self._worker.is_busy() else "begins")
        task = Task(
            key,
            Kind.LOOK,
            work=lambda check: self._try(key, request, words, check),
            called_off=lambda: self._not_tried(key),
        )
        self._worker.submit(task, first=True)

    def describe(self, key: str) -> None:
        """Have the captioner say what the photograph shows."""
        photo = self.desk.get(key)
        if photo is None or photo.trying:
            return
        self.desk.change(key, trying="waits for its turn" if self._worker.is_busy() else "begins")
        task = Task(
            key,
            Kind.LOOK,
            work=lambda check: self._describe(key, check),
            called_off=lambda: self._not_tried(key),
        )
        self._worker.submit(task, first=True)

    def cancel(self, key: str) -> None:
        """Call off the enlarging of a photograph, whether it has begun or not."""
        self._worker.cancel(key, Kind.WHOLE)

    def cancel_look(self, key: str) -> None:
        """Call off a trial, or the captioner."""
        self._worker.cancel(key, Kind.LOOK)

    def place_in_line(self, key: str) -> int:
        """1: the next; 0: not in line."""
        keys = [task.key for task in self._worker.waiting() if task.kind is Kind.WHOLE]
        return keys.index(key) + 1 if key in keys else 0

    def close(self, patience: float = 5.0) -> None:
        """Call everything off."""
        self._worker.close(patience)

    # ------------------------------------------------------- in the worker's thread

    def _enlarge(self, key: str, request: Request, run: int, check: events.Observer) -> None:
        from dit4sr_cli.jobs import upscale as job

        photo = self._set(key, state=State.RUNNING)
        if photo is None:
            return
        folder = request.output.target
        assert folder is not None
        try:
            folder.mkdir(mode=0o700)
            outcome = job.run(request, load=self._model, observe=self._following(key, check))
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._set(key, state=State.FAILED, problem=self._in_a_line(photo, error))
            return
        if photo.result is not None:
            shutil.rmtree(photo.result.parent, ignore_errors=True)
        outcome = replace(outcome, warnings=tuple(map(photo.plainly, outcome.warnings)))
        self._set(key, state=State.DONE, outcome=outcome, run=run, progress=Progress())

    def _try(self, key: str, request: Request, words: str, check: events.Observer) -> None:
        photo = self._set(key, trying="begins", problem="")
        if photo is None:
            return
        try:
            made = trial.try_part(photo, request, words, self._model, self._trying(key, check))
        except Exception as error:
            self._set(key, trying="", problem=self._in_a_line(photo, error))
            return
        if photo.trial is not None:
            photo.trial.before.unlink(missing_ok=True)
            photo.trial.after.unlink(missing_ok=True)
        self._set(key, trying="", trial=made)

    def _describe(self, key: str, check: events.Observer) -> None:
        from dit4sr_cli.imaging import reader
        from dit4sr_cli.jobs.caption import find_caption

        photo = self._set(key, trying="reading", problem="")
        if photo is None:
            return
        fixed, observe = self.fixed, self._trying(key, check)
        self._model.release()  # a captioner needs the room
        try:
            page = reader.read(photo.source, name=photo.name, max_megapixels=fixed.max_megapixels)[
                0
            ]
            said = find_caption(
                None,
                page.pixels,
                settings=fixed.caption,
                device=fixed.model.device,
                precision=fixed.model.precision,
                observe=observe,
            )
        except Exception as error:
            self._set(key, trying="", problem=self._in_a_line(photo, error))
            return
        self._set(key, trying="", said=said, caption=said.text)

    def _following(self, key: str, check: events.Observer) -> events.Observer:
        def tell(event: events.Event) -> None:
            check(event)
            photo = self.desk.get(key)
            if photo is None:
                return
            if isinstance(event, events.PhaseStarted):
                self._set(key, progress=Progress(event.phase, 0, event.total))
            elif isinstance(event, events.Advanced):
                self._set(key, progress=replace(photo.progress, done=event.done))

        return tell

    def _trying(self, key: str, check: events.Observer) -> events.Observer:
        def tell(event: events.Event) -> None:
            check(event)
            if isinstance(event, events.PhaseStarted):
                self._set(key, trying=event.phase)

        return tell

    # ---------------------------------------------------------------------- helpers

    def _set(self, key: str, **values: object) -> Photo | None:
        return self.desk.change(key, **values)

    def _called_off(self, key: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._set(key, state=State.CANCELLED, progress=Progress())

    def _not_tried(self, key: str) -> None:
        self._set(key, trying="")

    def _in_a_line(self, photo: Photo, error: Exception) -> str:
        known = error if isinstance(error, Dit4srError) else self._explain(error)
        text = f"{known.message} ({known.hint})" if known.hint else known.message
        return photo.plainly(text)
