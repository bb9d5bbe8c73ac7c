"""One run's figures."""

from __future__ import annotations

from dataclasses import dataclass

from dit4sr_cli.jobs.stopwatch import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One run of one variant.

    Args:
        seconds: from the beginning to the finished result.
        first_tile: seconds until the first tiles were through the transformer once.
        phases: in their order, each name once; time that no phase claims is in none.
        tokens: that went through the transformer, by the settings that were used.
        megapixels: of the result.
        peak_bytes: the most memory until now, of the process or, on CUDA, of torch on the device.
        base_bytes: the same before the model was loaded.
        free_bytes: what the device has left; None: it does not say.
        model, device, dtype: that were used.
        warnings: of this run.
    """

    seconds: float
    first_tile: float
    phases: tuple[Phase, ...]
    tokens: int
    megapixels: float
    peak_bytes: int
    base_bytes: int
    free_bytes: int | None
    model: str
    device: str
    dtype: str
    warnings: tuple[str, ...] = ()
