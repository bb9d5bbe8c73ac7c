"""A step's batch in pieces: nothing twice, nothing left out, and means that add up."""

import pytest
import torch

from dit4sr_cli.training.share import generator, shares


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (2, 1), (1, 4), (2, 2), (4, 3)])
def test_pieces_cover_every_sample_once(processes, parts):
    for step in (0, 7):
        samples = [
            sample
            for process in range(processes)
            for share in shares(24, processes, process, parts)
            for sample in share.samples(step)
        ]
        assert samples == list(range(24 * step, 24 * step + 24))


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
@pytest.mark.parametrize("split", [0, 1, 4, 9, 12])
def test_weighted_means_of_the_pieces_average_to_the_mean_of_a_part(processes, split):
    values = torch.rand(12, generator=generator(0, 1))
    weighted = []
    for process in range(processes):
        (share,) = shares(12, processes, process, 1)
        count = share.count_below(split)
        own = values[share.offset : share.offset + count]
        weighted.append(float(own.mean()) * share.weight(count, split) if count else 0.0)
    expected = float(values[:split].mean()) if split else 0.0
    assert sum(weighted) / processes == pytest.approx(expected)


def test_a_samples_choices_are_its_own():
    first = torch.rand(3, generator=generator(1, 5))
    assert torch.equal(first, torch.rand(3, generator=generator(1, 5)))
    assert not torch.equal(first, torch.rand(3, generator=generator(1, 6)))
    assert not torch.equal(first, torch.rand(3, generator=generator(2, 5)))
