"""The one model in memory: kept for the next picture, let go for another model."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from dit4sr_cli.core import events
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.weights.resolve import resolve

if TYPE_CHECKING:
    from dit4sr_cli.jobs.upscale import Loader
    from dit4sr_cli.jobs.upscaler import Upscaler


class HeldModel:
    """A loader that loads only when something else is asked for than before."""

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._held: Upscaler | None = None
        self._what: object = None

    def __call__(self, settings: ModelSettings, observe: events.Observer) -> Upscaler:
        """The model that the settings mean now: what is pulled meanwhile counts."""
        wanted = settings, resolve(settings.model)
        if self._held is None or self._what != wanted:
            self.release()
            self._held = self._load(settings, observe)
            self._what = wanted
        return self._held

    def release(self) -> None:
        """Make room, for another model or for a captioner."""
        if self._held is None:
            return
        from dit4sr_cli.pipeline import memory

        device = self._held.components.device
        self._held, self._what = None, None
        gc.collect()
        memory.release(device)
