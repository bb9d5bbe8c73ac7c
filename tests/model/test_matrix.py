"""Matrices in fewer bits: near the exact ones, and small."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dit4sr_cli.bench.architecture import SMALL
from dit4sr_cli.bench.random_model import drawing
from dit4sr_cli.core.types import Quantize
from dit4sr_cli.model.matrix import FEW, AnyMatrix, Matrix, quantize_
from dit4sr_cli.model.prepared import Prepared, PreparedBlock
from dit4sr_cli.pipeline.device import check_quantize

BOUNDS = {Quantize.INT8: 0.02, Quantize.FP8: 0.05, Quantize.INT4: 0.1}
CPU = torch.device("cpu")
CONFIG = replace(SMALL.config, num_layers=2, dual_attention_layers=(0,))


def _works(how: Quantize) -> bool:
    """FP8 runs on any CPU, slowly: what a card is refused for is not what its products need."""
    try:
        check_quantize(how, CPU)
    except Exception:
        return how is Quantize.FP8
    return True


KINDS = [
    pytest.param(how, marks=pytest.mark.skipif(not _works(how), reason="not on this processor"))
    for how in BOUNDS
]


def made(how: Quantize, dtype=torch.float32, shape=(96, 128)) -> tuple[Matrix, AnyMatrix]:
    torch.manual_seed(0)
    exact = Matrix(torch.randn(shape, dtype=dtype), torch.randn(shape[0], dtype=dtype))
    holder = torch.nn.Module()
    holder.matrix = exact
    quantize_(holder, how)
    return exact, holder.matrix


def far(got, expected) -> float:
    return float((got.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [(FEW,), (2, 3, 700)])
def test_products_are_near(how, dtype, rows):
    exact, quantised = made(how, dtype)
    x = torch.randn(*rows, 128).to(dtype)
    got = quantised(x)
    assert (got.dtype, got.shape) == (dtype, (*rows, 96))
    assert 0 < far(got, exact(x)) < BOUNDS[how]


@pytest.mark.parametrize("how", KINDS)
def test_each_token_and_channel_has_its_own_scale(how):
    exact, quantised = made(how)
    x = torch.randn(100, 128)
    loud = x.clone()
    loud[7] *= 1e4
    rest = [i for i in range(100) if i != 7]
    assert torch.equal(quantised(loud)[rest], quantised(x)[rest])
    exact.weight[5] *= 1e4
    holder = torch.nn.Module()
    holder.matrix = exact
    quantize_(holder, how)
    others = [i for i in range(96) if i != 5]
    assert torch.equal(holder.matrix(x)[:, others], quantised(x)[:, others])


@pytest.mark.parametrize("how", KINDS)
def test_zeros_stay_zeros(how):
    exact = Matrix(torch.zeros(32, 64), torch.ones(32))
    holder = torch.nn.Module()
    holder.matrix = exact
    quantize_(holder, how)
    assert torch.equal(holder.matrix(torch.zeros(20, 64)), torch.ones(20, 32))


def test_parts_of_the_cpu_change_nothing(monkeypatch):
    _, quantised = made(Quantize.INT8)
    x = torch.randn(600, 128)
    whole = quantised(x)
    monkeypatch.setattr(type(quantised), "_rows_at_once", lambda self, rows: 77)
    assert torch.equal(quantised(x), whole)


@pytest.mark.parametrize("columns", [64, 96, 128, 18])
def test_any_width_has_groups(columns):
    exact, quantised = made(Quantize.INT4, shape=(40, columns))
    x = torch.randn(8, columns)
    assert far(quantised(x), exact(x)) < 0.12


SHARE = {Quantize.INT8: 0.27, Quantize.FP8: 0.27, Quantize.INT4: 0.17}


@pytest.mark.parametrize("how", KINDS)
def test_a_network_holds_less_and_is_near(how):
    state = drawing(CONFIG, CPU, torch.float32)
    exact, quantised = Prepared(CONFIG, state), Prepared(CONFIG, state, how)
    assert _held(quantised) < SHARE[how] * _held(exact)
    for name in ("patch_weight", "out_weight", "blocks.0.attn.norm_q"):
        assert torch.equal(exact.get_buffer(name), quantised.get_buffer(name))
    conv = "blocks.0.ff.control_conv_weight"
    assert torch.equal(exact.get_buffer(conv), quantised.get_buffer(conv))
    with torch.inference_mode():
        assert 0 < far(_run(quantised), _run(exact)) < BOUNDS[how]


def _held(network: Prepared) -> int:
    return sum(buffer.nbytes for block in network.blocks for buffer in block.buffers())


def _run(network: Prepared) -> torch.Tensor:
    dice = torch.Generator().manual_seed(1)
    noisy, lr = torch.randn(2, 1, 16, 16, 16, generator=dice).unbind()
    texts = torch.randn(1, 5, CONFIG.joint_attention_dim, generator=dice)
    pooled = torch.randn(1, CONFIG.pooled_projection_dim, generator=dice)
    conditions = network.conditions(torch.tensor([600.0]), texts, pooled)
    which = torch.tensor([0])
    return network(noisy, lr, network.embed_lr(lr), which, conditions=conditions, step=0)


def test_no_two_blocks_are_exact_at_once(monkeypatch):
    """The peak of memory is that of the quantised network and one exact block."""
    exact = []
    real = PreparedBlock.__init__

    def counted(self, *args, **kwargs):
        real(self, *args, **kwargs)
        earlier = [block for block in exact if any(isinstance(m, Matrix) for m in block.modules())]
        assert not earlier
        exact.append(self)

    monkeypatch.setattr(PreparedBlock, "__init__", counted)
    Prepared(CONFIG, drawing(CONFIG, CPU, torch.float32), Quantize.INT4)
    assert len(exact) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("how", BOUNDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_on_cuda(how, dtype):
    device = torch.device("cuda")
    check_quantize(how, device)
    exact, quantised = made(how, dtype)
    x = torch.randn(3, 50, 128, dtype=dtype)
    assert far(quantised.to(device)(x.to(device)).cpu(), exact(x)) < BOUNDS[how]
