"""Shares and maps against attention written out in full, and where they must be known."""

from dataclasses import replace

import pytest
import torch
from model.test_ablations import TINY

from dit4sr_cli.model import attention_map
from dit4sr_cli.model.attention import JointAttention
from dit4sr_cli.model.attention_map import attention_maps, even_shares, summarised
from dit4sr_cli.model.transformer import MMDiTControl

H, W, M = 6, 5, 3
N = H * W


def _inputs(batch=2):
    torch.manual_seed(1)
    x, lr = torch.randn(2, batch, 4, H, W).unbind()
    text = torch.randn(batch, M, 4), torch.randn(batch, 4)
    return x, lr, torch.full((batch,), 500.0), *text


def _network(**changes):
    torch.manual_seed(0)
    return MMDiTControl(replace(TINY, num_layers=3, dual_attention_layers=(0, 1), **changes)).eval()


def _brute(attention, image, text):
    """Every weight at once, from the module's own linears: [B, heads, 2N + M, 2N + M]."""
    heads = lambda t: t.view(*t.shape[:2], 2, 8).transpose(1, 2)  # noqa: E731
    x, lr = image[:, :N], image[:, N:]
    queries = [
        attention.norm_q(heads(attention.to_q(x))),
        attention.norm_q(heads(attention.to_q_control(attention.to_q(lr)))),
    ]
    keys = [
        attention.norm_k(heads(attention.to_k(x))),
        attention.norm_k(heads(attention.to_k_control(attention.to_k(lr)))),
    ]
    if text is not None:
        queries.append(attention.norm_added_q(heads(attention.add_q_proj(text))))
        keys.append(attention.norm_added_k(heads(attention.add_k_proj(text))))
    scores = torch.einsum("bhqd,bhkd->bhqk", torch.cat(queries, 2), torch.cat(keys, 2))
    weights = (scores / 8**0.5).exp()
    return weights / weights.sum(-1, keepdim=True)


@pytest.mark.parametrize("has_text", [True, False])
@pytest.mark.parametrize("rows", [7, 256])
@torch.no_grad()
def test_as_written_out_in_full(monkeypatch, has_text, rows):
    monkeypatch.setattr(attention_map, "ROWS", rows)
    torch.manual_seed(0)
    attention = JointAttention(TINY, text_out=True)
    image, text = torch.randn(2, 2 * N, 16), torch.randn(2, M, 16) if has_text else None
    shares, maps = summarised(attention, image, text, points=[0, 17])
    full = _brute(attention, image, text).mean((0, 1))
    edges = [slice(0, N), slice(N, 2 * N), slice(2 * N, None)]
    for row, queries in enumerate(edges[: 2 + has_text]):
        for column, keys in enumerate(edges[: 2 + has_text]):
            wanted = full[queries, keys].sum(-1).mean()
            torch.testing.assert_close(shares[row, column], wanted, rtol=1e-5, atol=1e-6)
    for number, point in enumerate((0, 17)):
        for asking in (0, 1):
            for seen in (0, 1):
                wanted = full[asking * N + point, seen * N : (seen + 1) * N]
                torch.testing.assert_close(maps[number, asking, seen], wanted, rtol=1e-5, atol=1e-6)
    if not has_text:
        assert shares[2].abs().sum() == shares[:, 2].abs().sum() == 0


@pytest.mark.parametrize("changes", [{}, {"wiring": "legacy"}, {"control_attention": "separate"}])
def test_rows_sum_to_one_and_the_velocity_stays(changes):
    network, inputs = _network(**changes), _inputs()
    with torch.no_grad():
        before = network(*inputs)
    found = attention_maps(network, *inputs, points=[3])
    assert [(one.block, one.name) for one in found] == [
        *((0, "attn"), (0, "attn2"), (1, "attn"), (1, "attn2"), (2, "attn")),
    ]
    for one in found:
        rows = 3 if one.name == "attn" else 2
        torch.testing.assert_close(one.shares.sum(1)[:rows], torch.ones(rows))
        assert one.maps.shape == (1, 2, 2, N)
    with torch.no_grad():
        assert torch.equal(network(*inputs), before)
    assert not any(block.attn._forward_pre_hooks for block in network.transformer_blocks)


def test_separate_streams_do_not_see_each_other():
    for one in attention_maps(_network(control_attention="separate"), *_inputs(), points=[0]):
        assert one.shares[0, 1] == one.shares[1, 0] == one.shares[1, 2] == 0
        assert one.shares[1, 1] == pytest.approx(1)
        assert one.maps[:, 0, 1].abs().max() == one.maps[:, 1, 0].abs().max() == 0


@torch.no_grad()
def test_the_peak_is_where_it_was_put():
    """All projections the identity: the one LR token that is like the asking one draws it."""
    attention = JointAttention(replace(TINY, qk_norm=None), text_out=True)
    for linear in (attention.to_q, attention.to_k, attention.to_q_control, attention.to_k_control):
        linear.weight.copy_(torch.eye(16))
        linear.bias.zero_()
    image = torch.zeros(1, 2 * N, 16)
    image[0, 4], image[0, N + 21] = 3.0, 3.0
    _, maps = summarised(attention, image, None, points=[4, 21])
    assert maps[0, 0, 1].argmax() == 21 and maps[0, 0, 1, 21] > 0.4
    assert maps[1, 1, 0].argmax() == 4
    assert maps[1, 0, 1].max() == pytest.approx(1 / (2 * N))


def test_some_blocks_and_wrong_ones():
    network, inputs = _network(), _inputs(1)
    assert [one.block for one in attention_maps(network, *inputs, blocks=[2, 0])] == [0, 0, 2]
    with pytest.raises(IndexError, match="0 to 2"):
        attention_maps(network, *inputs, blocks=[3])
    with pytest.raises(IndexError, match="no token 30"):
        attention_maps(network, *inputs, points=[30])
    assert not any(block.attn._forward_pre_hooks for block in network.transformer_blocks)


def test_even_shares():
    assert even_shares(10, 5) == (0.4, 0.4, 0.2)
