"""Peak memory of large results: `python tools/large_memory.py 25 100 400`, in megapixels.

Each runs in a process of its own, from a 16-bit TIFF to a 16-bit TIFF, with the embedded model.
`--cheap` puts a transformer that does next to nothing in place of the model's: memory is the same
but for the activations of a batch of tiles, and hours become minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCALE = 4


def main() -> None:
    """Measure each size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megapixels", type=int, nargs="*")
    parser.add_argument("--cheap", action="store_true")
    parser.add_argument("--whole", action="store_true", help="the usual way, for comparison")
    parser.add_argument("--folder", type=Path, help="keeps scans and results, gigabytes of them")
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.source:
        found = measure(asked.source, cheap=asked.cheap, whole=asked.whole)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    flags = [f"--{name}" for name in ("cheap", "whole") if getattr(asked, name)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        for megapixels in asked.megapixels:
            side = round((megapixels * 1e6) ** 0.5) // SCALE
            source = make_scan(folder / f"{megapixels}.tif", side)
            subprocess.run([sys.executable, __file__, *flags, "--source", source], check=True)


def make_scan(path: Path, side: int) -> Path:
    """A 16-bit picture with gradients, edges and grain, made a strip at a time."""
    import pyvips

    grain = pyvips.Image.gaussnoise(side, side, mean=0, sigma=500, seed=1)
    waves = pyvips.Image.sines(side, side, hfreq=side / 90, vfreq=side / 140) * 12000 + 30000
    discs = (pyvips.Image.zone(side, side) > 0.3) * 9000
    bands = [waves + grain, waves - discs + grain, discs + 20000 - grain]
    image = bands[0].bandjoin(bands[1:]).cast("ushort").copy(interpretation="rgb16")
    image.tiffsave(str(path), compression="deflate", predictor="horizontal")
    return path


def measure(source: Path, *, cheap: bool, whole: bool) -> dict[str, object]:
    """One run in this process: what came out, and the peak after each phase."""
    from dit4sr_cli.core.settings import ModelSettings, OutputSettings, UpscaleSettings
    from dit4sr_cli.jobs import large, upscale
    from dit4sr_cli.jobs.plan import Request

    target = source.with_suffix(".out.tif")
    request = Request(
        source=source,
        upscale=UpscaleSettings(scale=SCALE),
        model=ModelSettings(model="nano"),
        output=OutputSettings(target=target, overwrite=True, record=False),
    )

    phases: list[tuple[str, float, int]] = []
    started = time.monotonic()

    def observe(event: object) -> None:
        from dit4sr_cli.core.events import PhaseStarted

        if isinstance(event, PhaseStarted):
            phases.append((event.phase, round(time.monotonic() - started, 1), _peak()))
            sys.stderr.write(f"{phases[-1]}\n")

    def load(settings: object, observe: object) -> object:
        upscaler = upscale.load_upscaler(settings, observe)  # type: ignore[arg-type]
        if cheap:
            _make_cheap(upscaler)
        return upscaler

    large.suits = lambda request: not whole  # whatever its size
    outcome = upscale.run(request, load=load, observe=observe)  # type: ignore[arg-type]
    return {
        "output": outcome.output_size,
        "bytes": target.stat().st_size,
        "is_big_tiff": _head(target)[2] == 43,
        "peak_MB": _peak(),
        "seconds": outcome.seconds,
        "phases": phases,
    }


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)


def _make_cheap(upscaler: object) -> None:
    with upscaler.components.transformer.in_use() as transformer:  # type: ignore[attr-defined]
        transformer.forward = lambda noisy, lr, *rest, **same: noisy - lr


def _peak() -> int:
    # ru_maxrss is in kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


if __name__ == "__main__":
    main()
