"""What does not fit is done in smaller pieces, with the same result; and it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import tiny_published
from helpers.images import scene

from dit4sr_cli.core.errors import ModelError, OutOfMemoryError
from dit4sr_cli.core.events import Warned
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.pipeline import assemble, latents, memory
from dit4sr_cli.pipeline.memory import Fitting
from dit4sr_cli.pipeline.vae import VaeCodec

CPU = torch.device("cpu")


def _full(limit: int, count):
    """Raise as torch does when more than `limit` would be needed."""
    if count > limit:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_published.build(tmp_path_factory.mktemp("published")))


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def observe(warnings):
    return lambda event: isinstance(event, Warned) and warnings.append(event.message)


def test_a_batch_is_halved_until_it_fits():
    sizes = []

    def double(x, y):
        sizes.append(len(x))
        _full(3, len(x))
        return 2 * x + y

    fitting = Fitting(double, CPU)
    x, y = torch.arange(10.0), torch.ones(10)
    assert torch.equal(fitting(x, y), 2 * x + y)
    assert sizes == [10, 5, 3, 3, 3, 1]
    sizes.clear()
    fitting(x[:7], y[:7])
    assert sizes == [3, 3, 1]


def test_one_that_does_not_fit_and_other_errors_are_passed_on():
    def full(x):
        _full(0, len(x))

    with pytest.raises(torch.OutOfMemoryError):
        Fitting(full, CPU)(torch.ones(4))

    def wrong(x):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Fitting(wrong, CPU)(torch.ones(4))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("x"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_every_device_says_it_in_its_own_words(error):
    assert memory.is_out_of_memory(error)
    assert not memory.is_out_of_memory(RuntimeError("nothing of the kind"))


def test_guidance_and_tiles_are_split_without_a_change(folder, monkeypatch, warnings, observe):
    small = scene(40, 40)
    settings = {"steps": 2, "tile": 16, "overlap": 4, "prompt": "a cat", "observe": observe}
    expected = Upscaler.load(folder).upscale(small, **settings)
    real, sizes = Prepared.forward, []

    def forward(self, noisy, *rest, **same):
        sizes.append(len(noisy))
        _full(1, len(noisy))
        return real(self, noisy, *rest, **same)

    monkeypatch.setattr(Prepared, "forward", forward)
    made = Upscaler.load(folder).upscale(small, **settings)
    assert max(sizes) > 2 and sizes[-1] == 1
    assert np.abs(made.pixels.astype(int) - expected.pixels).max() <= 1
    assert made.record.tile == 16 and warnings == []


def test_then_tiles_are_halved_and_it_is_said(folder, monkeypatch, warnings, observe):
    real = Prepared.forward

    def forward(self, noisy, *rest, **same):
        _full(32 * 32, noisy.shape[-1] * noisy.shape[-2])
        return real(self, noisy, *rest, **same)

    monkeypatch.setattr(Prepared, "forward", forward)
    made = Upscaler.load(folder).upscale(scene(128, 128), steps=1, observe=observe)
    assert (made.record.tile, made.record.overlap) == (32, 3)
    assert made.record.tiles > 4
    assert warnings == [
        "memory is short: tiles of 32 cells in place of 64, which changes the picture a little"
    ]


def test_in_the_end_it_gives_up_in_one_line(folder, monkeypatch, observe):
    monkeypatch.setattr(Prepared, "forward", lambda self, *inputs, **same: _full(0, 1))
    with pytest.raises(OutOfMemoryError, match="even for tiles of 16 cells") as caught:
        Upscaler.load(folder).upscale(scene(128, 128), steps=1, observe=observe)
    assert "--low-memory" in caught.value.hint


def test_the_codec_takes_less_at_once(monkeypatch):
    codec = VaeCodec(tiny_published.tiny_vae().requires_grad_(False))
    real, sides = VaeCodec.decode, []

    def decode(self, z):
        sides.append(max(z.shape[-2:]))
        _full(100, sides[-1])
        return real(self, z)

    monkeypatch.setattr(VaeCodec, "decode", decode)
    image = latents.decode(codec, torch.randn(1, 16, 128, 64))
    assert image.shape == (3, 1024, 512)
    assert sides[0] == 128 and max(sides[1:]) <= 100


def test_a_precision_that_overflows_is_left_for_a_wider_one(folder, tmp_path, warnings, observe):
    model = tiny_published.build(tmp_path / "loud")
    _make_loud(model / "transformer")
    settings = {"steps": 1, "prompt": "a cat", "observe": observe}
    expected = Upscaler.load(str(model), dtype="fp32").upscale(scene(16, 16), **settings)
    upscaler = Upscaler.load(str(model), dtype="fp16")
    made = upscaler.upscale(scene(16, 16), **settings)
    assert warnings == ["float16 overflowed: computing in float32 now"]
    assert made.record.dtype == "float32"
    assert np.abs(made.pixels.astype(int) - expected.pixels).max() <= 3  # text was in float16
    assert upscaler.upscale(scene(16, 16), **settings).record.dtype == "float32"
    assert len(warnings) == 1


def test_weights_that_are_no_numbers_are_told(tmp_path, observe):
    model = tiny_published.build(tmp_path / "broken")
    _make_loud(model / "transformer", float("nan"))
    with pytest.raises(ModelError, match="not finite, in float32") as caught:
        Upscaler.load(str(model), dtype="fp32").upscale(scene(16, 16), steps=1)
    assert "models verify" in caught.value.hint


def _make_loud(transformer, factor=1e5):
    """A feed-forward that leaves the range of float16 and comes back."""
    from safetensors.torch import load_file, save_file

    path = transformer / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    state["transformer_blocks.0.ff.net.0.proj.weight"] *= factor
    state["transformer_blocks.0.ff.net.2.weight"] /= factor
    save_file(state, path, {"format": "pt"})


def test_streams_by_itself_when_memory_is_short(folder, monkeypatch, warnings, observe):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    upscaler = Upscaler.load(folder, observe=observe)
    assert upscaler.components.streams
    assert len(warnings) == 1 and "as with --low-memory" in warnings[0]


def test_low_memory_gives_the_same_picture(folder):
    settings = {"steps": 2, "prompt": "a cat"}
    expected = Upscaler.load(folder).upscale(scene(16, 16), **settings)
    made = Upscaler.load(folder, low_memory=True).upscale(scene(16, 16), **settings)
    difference = np.abs(made.pixels.astype(int) - expected.pixels)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_parts_make_room_for_each_other_on_a_small_device(folder, monkeypatch):
    """The CPU stands in for a card on which everything fits, but not at the same time."""
    moves = []
    for kind in (Prepared, VaeCodec):
        real = kind.to

        def to(self, *args, real=real, name=kind.__name__, **kwargs):
            moves.append((name, args[0]))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(kind, "to", to)
    plan = assemble._Plan(device=CPU, dtype=torch.float32, stays=False, streams=False, plain=False)
    monkeypatch.setattr(assemble, "_plan", lambda *args, **how: plan)
    upscaler = Upscaler.load(folder)
    upscaler.upscale(scene(16, 16), steps=1)
    names = [name for name, _ in moves]
    # Encoding done, transformer done, back for decoding, done again.
    assert names == ["VaeCodec", "Prepared", "VaeCodec", "VaeCodec"]


def test_what_is_free_is_known_here():
    free = memory.free_bytes(CPU)
    assert free is None or 0 < free < 1 << 50
