"""Each ablation of the paper's Table 4 is a switch of the config, and changes what it names."""

from dataclasses import replace

import pytest
import torch

from dit4sr_cli.model.attention import JointAttention
from dit4sr_cli.model.block import FeedForward
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.transformer import MMDiTControl

TINY = TransformerConfig(
    sample_size=8,
    patch_size=1,
    in_channels=4,
    out_channels=4,
    num_layers=2,
    attention_head_dim=8,
    num_attention_heads=2,
    joint_attention_dim=4,
    caption_projection_dim=16,
    pooled_projection_dim=4,
    pos_embed_max_size=8,
    dual_attention_layers=(0,),
    wiring="r1",
)


def _run(config, **changes):
    torch.manual_seed(0)
    model = MMDiTControl(replace(config, **changes)).eval()
    torch.manual_seed(1)
    x, lr = torch.randn(2, 1, 4, 6, 5).unbind()
    return model, model(x, lr, torch.tensor([500.0]), torch.randn(1, 3, 4), torch.randn(1, 4))


@pytest.mark.parametrize(
    "changes",
    [{"control_attention": "separate"}, {"lr_residual": False}, {"injection": "none"}],
)
def test_a_switch_changes_the_result(changes):
    assert not torch.allclose(_run(TINY)[1], _run(TINY, **changes)[1])


def test_separate_lr_attention_hears_nothing_of_the_image():
    torch.manual_seed(0)
    attention = JointAttention(replace(TINY, control_attention="separate"), text_out=True)
    image, text = torch.randn(1, 12, 16), torch.randn(1, 3, 16)
    changed = image.clone()
    changed[:, :6] += 1
    out, changed_out = attention(image, text)[0], attention(changed, text)[0]
    torch.testing.assert_close(out[:, 6:], changed_out[:, 6:])
    changed = image.clone()
    changed[:, 6:] += 1
    torch.testing.assert_close(out[:, :6], attention(changed, text)[0][:, :6])


def test_lr_residual_is_what_entered_attention():
    torch.manual_seed(0)
    with_residual = JointAttention(TINY, text_out=True)
    without = JointAttention(replace(TINY, lr_residual=False), text_out=True)
    without.load_state_dict(with_residual.state_dict())
    image, text = torch.randn(1, 12, 16), torch.randn(1, 3, 16)
    difference = with_residual(image, text)[0] - without(image, text)[0]
    expected = image[:, 6:] @ with_residual.to_out_control.weight.T
    torch.testing.assert_close(difference[:, 6:], expected, rtol=1e-4, atol=1e-5)
    assert difference[:, :6].abs().max() == 0


def test_injection_parameters_follow_the_switch():
    names = {
        kind: {
            name
            for name, _ in FeedForward(
                replace(TINY, injection=kind), control=True
            ).named_parameters()
            if "control" in name
        }
        for kind in ("conv", "linear", "none")
    }
    assert names["conv"] == {"control_conv.weight", "control_conv.bias"}
    assert names["linear"] == {"control_linear.weight", "control_linear.bias"}
    assert names["none"] == set()


def test_injection_reaches_the_image_and_leaves_lr_alone():
    torch.manual_seed(0)
    feed = FeedForward(TINY, control=True)
    image = torch.randn(1, 12, 16)
    plain = feed.net[2](feed.net[0](image))
    injected = feed.inject(image, (2, 3))
    torch.testing.assert_close(injected[:, 6:], plain[:, 6:])
    assert not torch.allclose(injected[:, :6], plain[:, :6])


def test_unknown_config_keys_and_choices_are_refused():
    with pytest.raises(ValueError, match="'surprise'"):
        TransformerConfig.from_dict({"surprise": 1, "_class_name": "SD3Transformer2DModel"})
    with pytest.raises(ValueError, match="wiring"):
        replace(TINY, wiring="other")
