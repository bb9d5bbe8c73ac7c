"""The panel of settings: what is chosen holds for the next picture that is put in line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nicegui import ui

from dit4sr_cli.core.types import Preset
from dit4sr_cli.imaging.formats import WRITABLE
from dit4sr_cli.ui.form import LIMITS, Choices
from dit4sr_cli.ui.studio import Studio

_PRESETS = {
    "": "As the model says",
    **{preset.value: preset.value.capitalize() for preset in reversed(Preset)},
}
_FORMATS = {"": "PNG, or TIFF for TIFF", **{name: name.upper() for name in WRITABLE}}
_MIDDLE = 0.5


class Settings:
    """Fields of the page; what they hold is kept in the studio, and is there after a reload."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        with ui.element("fieldset").classes("settings"):
            with ui.element("legend"):
                ui.label("Settings")
            self._chosen("model", "Model", _models(studio))
            self._chosen("preset", "Preset", _PRESETS)
            self._number("scale", "Scale", step=0.5)
            self._chosen("format", "Format", _FORMATS)
            self._dial()
            with ui.expansion("More").props("dense dense-toggle").classes("more"):
                self._number("steps", "Steps", hint="the model's")
                self._number("guidance", "Guidance", step=0.5, hint="the model's")
                self._number("seed", "Seed")
                self._number("quality", "Quality of JPEG, WebP, AVIF")

    def _chosen(self, name: str, label: str, values: dict[str, str]) -> None:
        value = getattr(self._studio.choices, name) or ""
        ui.select(
            values,
            value=value if value in values else "",
            label=label,
            on_change=lambda event: self._set(name, event.value or None),
        ).props("outlined dense options-dense").mark(name)

    def _number(self, name: str, label: str, *, step: float = 1, hint: str = "") -> None:
        least, most = LIMITS[name]
        field = ui.number(
            label,
            value=getattr(self._studio.choices, name),
            min=least,
            max=most,
            step=step,
            placeholder=hint or None,
            on_change=lambda event: self._set(name, event.value),
        )
        field.props("outlined dense" + (" stack-label" if hint else "")).mark(name)

    def _dial(self) -> None:
        value = self._studio.choices.fidelity
        with ui.element("div").classes("dial"):
            switch = ui.switch("Fidelity", value=value is not None).props("dense")
            said = ui.label().classes("dim")
            slider = ui.slider(min=0, max=1, step=0.05, value=_MIDDLE if value is None else value)
            slider.props('aria-label="Fidelity, from free to faithful"')

        def chosen() -> None:
            is_on = bool(switch.value)
            self._set("fidelity", float(slider.value) if is_on else None)
            slider.set_enabled(is_on)
            said.set_text(f"{slider.value:g}" if is_on else "as the model says")

        switch.on_value_change(chosen)
        slider.on_value_change(chosen)
        chosen()

    def _set(self, name: str, value: Any) -> None:
        self._studio.choices = replace(self._studio.choices, **{name: value})


def _models(studio: Studio) -> dict[str, str]:
    """Names that can be chosen, and the one that the command line named."""
    from dit4sr_cli.weights.resolve import AUTO, installed, resolve

    names = [model.name for model in installed()]
    named = Choices().model if studio.fixed.model.model == AUTO else studio.fixed.model.model
    best = f"Best that is here ({resolve(AUTO).name})"
    return {AUTO: best, **{name: name for name in dict.fromkeys([*names, named]) if name != AUTO}}
