"""What can go wrong, on demand: a stand-in model, and libraries that print, crash or never end."""

from __future__ import annotations

import os
import sys
import time
import types
from dataclasses import asdict, dataclass

import dit4sr_cli.jobs
from dit4sr_cli.core import events
from dit4sr_cli.jobs.record import Record

_MODULE = "dit4sr_cli.jobs.upscaler"


@dataclass(frozen=True)
class Result:
    pixels: object
    record: Record


class Upscaler:
    """Bicubic with the interface of the real one; needs no torch and no weights."""

    name = "nano"

    @classmethod
    def load(cls, model="auto", device="auto", dtype=None, **how):
        upscaler = cls()
        upscaler.name = "nano" if model == "auto" else model
        upscaler.device = "cpu" if device == "auto" else device
        upscaler.dtype = dtype or "fp32"
        return upscaler

    def learn(self, prompts, **how):
        """Text encoders are not what these tests are about."""

    def upscale(self, image, *, scale=4, long_edge=None, observe=events.ignore, **settings):
        from dit4sr_cli.imaging import resize

        height, width = image.shape[:2]
        factor = long_edge / max(width, height) if long_edge else scale
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        observe(events.PhaseStarted("sampling", total=2))
        if settings.get("prompt"):
            observe(events.Warned("nano reads no prompt: --prompt is ignored"))
        observe(events.Advanced(1))
        pixels = resize.bicubic(image, size)
        observe(events.Advanced(2))
        return Result(pixels, self._record(settings, (width, height), size))

    def upscale_many(
        self, pictures, settings, *, captions, suffix=None, enlarge=None, observe=events.ignore
    ):
        results = []
        for picture, caption in zip(pictures, captions, strict=True):
            given = asdict(settings)
            if caption.origin != "none":
                given |= {"prompt": caption.text, "prompt_origin": caption.origin}
            results.append(self.upscale(picture, observe=observe, **given))
        return results

    def _record(self, settings, input_size, output_size):
        return Record(
            model=self.name,
            revision="",
            steps=settings.get("steps") or 1,
            guidance=settings.get("guidance") or 1.0,
            seed=settings.get("seed", 0),
            start="lr",
            color_fix="none",
            tile=settings.get("tile") or 16,
            overlap=settings.get("overlap") or 4,
            tiles=2,
            device=self.device,
            dtype=self.dtype,
            seconds=0.1,
            input_size=input_size,
            output_size=output_size,
            prompt=settings.get("prompt") or "",
            negative_prompt=settings.get("negative_prompt") or "",
            caption=settings.get("prompt") or "",
            prompt_origin=settings.get("prompt_origin", "none"),
        )


def fake_model() -> None:
    """Put the stand-in where the real model would be imported from."""
    module = types.ModuleType(_MODULE)
    module.Upscaler, module.Result = Upscaler, Result
    sys.modules[_MODULE] = module
    dit4sr_cli.jobs.upscaler = module


def pollute() -> None:
    """A library that talks on standard output in every way there is."""

    def chatter() -> None:
        print("CHATTER from print")  # noqa: T201
        sys.stdout.write("CHATTER from sys.stdout\n")
        os.write(1, b"CHATTER from C\n")
        os.system("echo CHATTER from a child")

    _before("upscale", chatter)


def out_of_memory() -> None:
    """What torch raises when the card is full."""

    class OutOfMemoryError(RuntimeError):
        pass

    def fail() -> None:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has ...")

    _before("upscale", fail)


def crash() -> None:
    """A bug of ours."""
    _before("upscale", lambda: 1 // 0)


def crash_in_writer() -> None:
    """A bug while the result is being encoded."""
    from dit4sr_cli.imaging import writer

    def fail(*args, **kwargs):
        raise ZeroDivisionError("division by zero")

    writer.write = writer.encode = fail


def endless() -> None:
    """A picture that takes for ever; says on stderr when it has begun."""

    def wait() -> None:
        os.write(2, b"BEGUN\n")
        time.sleep(120)

    _before("upscale", wait)


def stubborn() -> None:
    """A library that swallows every Exception, KeyboardInterrupt included, around its work."""

    def wait() -> None:
        os.write(2, b"BEGUN\n")
        try:
            time.sleep(120)
        except (Exception, KeyboardInterrupt):
            time.sleep(120)

    _before("upscale", wait)


def endless_destructor() -> None:
    """The signal comes where Python can raise nothing, and would be lost."""

    class Slow:
        def __del__(self):
            os.write(2, b"BEGUN\n")
            time.sleep(3)

    def wait() -> None:
        Slow()
        time.sleep(120)

    _before("upscale", wait)


def endless_worker() -> None:
    """Work in a forked process, as in a data loader, that is stopped along with its parent."""

    def wait() -> None:
        if os.fork() == 0:
            os.write(2, b"BEGUN\n")
            time.sleep(120)
            os._exit(0)
        os.wait()
        time.sleep(120)

    _before("upscale", wait)


def endless_write() -> None:
    """A disk that never finishes, when the temporary file is all but complete."""

    def wait(descriptor):
        os.write(2, b"BEGUN\n")
        time.sleep(120)

    os.fsync = wait


def slow() -> None:
    """Half a second a tile, so that progress can be seen."""
    _before("upscale", lambda: time.sleep(0.5))


def wordy() -> None:
    """A model that notes things for --verbose."""
    real = Upscaler.upscale

    def upscale(self, image, *, observe=events.ignore, **settings):
        observe(events.Noted("2 tiles of 128"))
        return real(self, image, observe=observe, **settings)

    Upscaler.upscale = upscale


def two_gib_is_tiny() -> None:
    """Lower the limit for pictures in a pipe to 1 KiB."""
    from dit4sr_cli.cli import streams

    streams.MAX_STREAM_BYTES = 1024


def no_ray() -> None:
    """Ray is an extra that is not installed."""
    sys.modules["ray"] = None


def no_nicegui() -> None:
    """The page's toolkit is not installed."""
    sys.modules["nicegui"] = None


def list_imports() -> None:
    """At exit, say on stderr what has been imported."""
    import atexit

    atexit.register(lambda: os.write(2, f"IMPORTED {' '.join(sorted(sys.modules))}\n".encode()))


def _before(name, act) -> None:
    real = getattr(Upscaler, name)

    def wrapped(self, *args, **kwargs):
        act()
        return real(self, *args, **kwargs)

    setattr(Upscaler, name, wrapped)
