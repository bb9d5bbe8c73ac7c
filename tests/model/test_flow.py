import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from dit4sr_cli.model.flow import euler_step, guided, sigmas, start_latents


@pytest.mark.parametrize(("steps", "shift"), [(1, 3.0), (4, 3.0), (20, 3.0), (40, 3.0), (7, 1.0)])
def test_levels_are_those_of_diffusers(steps, shift):
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift)
    scheduler.set_timesteps(steps)
    torch.testing.assert_close(sigmas(steps, shift), scheduler.sigmas, rtol=0, atol=1e-6)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        sigmas(0, 3.0)


def test_one_exact_step_reaches_the_clean_latents():
    clean, noise = torch.randn(2, 1, 2, 3, 3).unbind()
    torch.testing.assert_close(euler_step(noise, noise - clean, 1.0, 0.0), clean)


def test_starts():
    lr, noise = torch.ones(1), torch.full((1,), 3.0)
    assert start_latents(lr, noise, 0.75, "noise") == 3
    assert start_latents(lr, noise, 0.75, "lr") == 0.25 + 2.25


def test_guidance_of_one_is_the_prompt_alone():
    assert guided(torch.tensor(2.0), torch.tensor(5.0), 1.0) == 2
    assert guided(torch.tensor(2.0), torch.tensor(1.0), 3.0) == 4
