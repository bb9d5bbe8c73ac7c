import torch

from dit4sr_cli.model.precondition import ResidualPreconditioner


def _preconditioner():
    preconditioner = ResidualPreconditioner(3)
    preconditioner.residual_std.copy_(torch.tensor([0.5, 1.0, 2.0]))
    return preconditioner


def _sample(s, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lr, unit, noise = torch.randn(3, 4, 3, 5, 5, generator=generator).unbind()
    clean = lr + unit * torch.tensor([0.5, 1.0, 2.0])[:, None, None]
    return lr, clean, (1 - s) * clean + s * noise, torch.full((4,), 1000 * s)


def test_first_step_is_blind_to_the_noise():
    lr, _, noisy, timestep = _sample(1.0)
    x, _ = _preconditioner().inputs(noisy, lr, timestep)
    assert x.abs().max() == 0


def test_a_zero_output_at_the_start_gives_the_lr_latents():
    lr, _, noisy, timestep = _sample(1.0)
    clean = _preconditioner().clean_latents(torch.zeros_like(lr), noisy, lr, timestep)
    torch.testing.assert_close(clean, lr)


def test_the_target_output_has_unit_variance():
    p = ResidualPreconditioner(1)
    for s in (0.2, 0.6, 0.95):
        generator = torch.Generator().manual_seed(1)
        lr = torch.zeros(1, 1, 300, 300)
        clean, noise = torch.randn(2, 1, 1, 300, 300, generator=generator).unbind()
        noisy, timestep = (1 - s) * clean + s * noise, torch.tensor([1000 * s])
        at_zero = p.clean_latents(torch.zeros_like(lr), noisy, lr, timestep)
        at_one = p.clean_latents(torch.ones_like(lr), noisy, lr, timestep)
        target = (clean - at_zero) / (at_one - at_zero)
        assert abs(target.std().item() - 1) < 0.02


def test_velocity_belongs_to_the_estimate():
    s = 0.7
    lr, _, noisy, timestep = _sample(s)
    p, output = _preconditioner(), torch.ones(4, 3, 5, 5)
    clean = p.clean_latents(output, noisy, lr, timestep)
    torch.testing.assert_close(noisy - s * p.velocity(output, noisy, lr, timestep), clean)
