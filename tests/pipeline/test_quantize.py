"""--quantize from the settings to the record: what is done, what is refused, what is estimated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import tiny_published
from helpers.images import scene

from dit4sr_cli.bench.random_model import FreeCodec, components
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.events import Noted, Warned
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.types import Quantize
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.model.matrix import Int4Matrix, Matrix
from dit4sr_cli.model.prepared import CENTRE
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.device import check_quantize


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_published.build(tmp_path_factory.mktemp("published")))


@pytest.fixture
def capable(monkeypatch):
    """Sets what the processor is said to have."""

    def set_to(**able: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)

    return set_to


def test_nano_stays_near(capable):
    picture = scene(40, 30)
    exact = Upscaler.load("nano", device="cpu").upscale(picture)
    for how, least in ((Quantize.INT8, 40), (Quantize.INT4, 30)):
        capable(avx512_vnni=True)
        made = Upscaler.load("nano", device="cpu", quantize=how).upscale(picture)
        assert (exact.record.quantize, made.record.quantize) == ("none", how.value)
        error = np.mean((made.pixels.astype(float) - exact.pixels) ** 2)
        assert 10 * np.log10(255**2 / error) > least


def test_a_model_from_files_is_quantised(folder):
    upscaler = Upscaler.load(folder, device="cpu", quantize="int4")
    with upscaler.components.transformer.in_use() as network:
        kinds = {type(module) for module in network.blocks.modules()}
    assert Int4Matrix in kinds and Matrix not in kinds
    upscaler.upscale(scene(16, 16), steps=1)


@pytest.mark.parametrize(
    ("able", "works"),
    [({"avx512_vnni": True}, True), ({"avx_vnni": True}, True), ({"avx2": True}, False)],
)
def test_int8_needs_a_processor_that_adds_up(capable, able, works):
    capable(**able)
    if works:
        check_quantize(Quantize.INT8, torch.device("cpu"))
        return
    with pytest.raises(UsageError, match="no fast 8-bit products") as caught:
        check_quantize(Quantize.INT8, torch.device("cpu"))
    assert "int4" in caught.value.hint


def test_fp8_needs_a_new_card(monkeypatch):
    for device in ("cpu", "mps"):
        with pytest.raises(UsageError, match="NVIDIA") as caught:
            check_quantize(Quantize.FP8, torch.device(device))
        assert "int8 or int4" in caught.value.hint
    for capability in ((8, 9), (9, 0), (8, 6)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda found=capability: found)
        if capability >= (8, 9):
            check_quantize(Quantize.FP8, torch.device("cuda"))
        else:
            with pytest.raises(UsageError):
                check_quantize(Quantize.FP8, torch.device("cuda"))


@pytest.mark.parametrize("form", ["plain", "low_memory"])
def test_other_forms_are_not_quantised(form):
    with pytest.raises(UsageError, match="exclude each other"):
        Upscaler.load("nano", device="cpu", quantize="int4", **{form: True})


def test_random_weights_too():
    from dit4sr_cli.bench.architecture import SMALL

    settings = ModelSettings(quantize=Quantize.INT4)
    assert components(SMALL, settings, FreeCodec(16)).quantize is Quantize.INT4
    with pytest.raises(UsageError, match="plain path"):
        components(SMALL, settings, FreeCodec(16), plain=True)


def test_the_estimate_counts_bits(folder, monkeypatch):
    """What is too large fits in four bits; what does not even then is streamed, exactly."""
    need = {how: _need(folder, how) for how in (Quantize.NONE, Quantize.INT4)}
    # Of so small a network the positions, which are never quantised, are a large part.
    config = Upscaler.load(folder, device="cpu").components.config
    positions = 4 * config.width * min(CENTRE, config.pos_embed_max_size) ** 2
    assert need[Quantize.INT4] - positions < (need[Quantize.NONE] - positions) / 2
    free = (need[Quantize.INT4] + need[Quantize.NONE]) // 2
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    assert Upscaler.load(folder, device="cpu").components.streams
    assert not Upscaler.load(folder, device="cpu", quantize="int4").components.streams
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    said = []
    upscaler = Upscaler.load(folder, device="cpu", quantize="int4", observe=said.append)
    assert upscaler.components.streams and upscaler.components.quantize is Quantize.NONE
    [warning] = [event.message for event in said if isinstance(event, Warned)]
    assert warning.endswith("--low-memory, and not quantised")


def _need(folder: str, how: Quantize) -> int:
    """Found by asking how much has to be free."""
    low, high = 0, 1 << 30
    with pytest.MonkeyPatch.context() as patch:
        while high - low > high // 20:
            middle = (low + high) // 2
            patch.setattr(memory, "free_bytes", lambda device, free=middle: free)
            notes = []
            Upscaler.load(folder, device="cpu", quantize=how, observe=notes.append)
            assert any(isinstance(note, Noted) for note in notes)
            is_streamed = any("streamed" in n.message for n in notes if isinstance(n, Noted))
            low, high = (middle, high) if is_streamed else (low, middle)
    return high
