import re
import tarfile

import numpy as np
import pytest
import torch
from helpers import images

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.training.data import files, layout
from dit4sr_cli.training.data.prepared import PreparedDataset

NAMES = ["a-0", "b-0", "b-1"]


def _latent(name, kind):
    seed = sum(map(ord, name + kind.folder))
    return torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(seed))


def _write_latents(folder, names=NAMES, dtype=torch.float32):
    for name in names:
        for kind in (layout.LATENT_HR, layout.LATENT_LR):
            data = files.tensor_bytes({"latent": _latent(name, kind).to(dtype)})
            files.write(folder / kind.folder / f"{name}.safetensors", data)


def _write_pictures(folder, names=NAMES):
    for name in names:
        for kind in (layout.GT, layout.SR_BICUBIC):
            path = folder / kind.folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            images.save(path, 16, 24)


def _write_embeds(folder, names=NAMES):
    for number, name in enumerate(names):
        for kind, shape in ((layout.PROMPT_EMBEDS, (5, 6)), (layout.POOLED, (7,))):
            data = files.tensor_bytes({kind.tensor: torch.full(shape, float(number))})
            files.write(folder / kind.folder / f"{name}.safetensors", data)
    null = {"prompt_embeds": torch.ones(5, 6), "pooled_prompt_embeds": torch.ones(7)}
    files.write(folder / layout.NULL, files.tensor_bytes(null))


def test_latents_alone_make_samples_without_text(tmp_path):
    _write_pictures(tmp_path)
    _write_latents(tmp_path, dtype=torch.float16)
    data = PreparedDataset(tmp_path)
    assert data.names == NAMES and len(data) == 3
    assert data.null is None
    sample = data[1]
    assert sample.latent_hr.dtype == torch.float32
    assert torch.equal(sample.latent_hr, _latent("b-0", layout.LATENT_HR).half().float())
    assert torch.equal(sample.latent_lr, _latent("b-0", layout.LATENT_LR).half().float())
    assert sample.prompt_embeds is None and sample.pooled_prompt_embeds is None


def test_embeddings_and_those_of_the_empty_prompt(tmp_path):
    _write_latents(tmp_path)
    _write_embeds(tmp_path)
    data = PreparedDataset(tmp_path)
    assert data[2].prompt_embeds.shape == (5, 6) and data[2].prompt_embeds.mean() == 2
    assert data[2].pooled_prompt_embeds.shape == (7,)
    assert data.null.prompt_embeds.shape == (1, 5, 6)
    assert data.null.pooled_prompt_embeds.shape == (1, 7)


def test_pictures_are_those_of_the_files(tmp_path):
    _write_pictures(tmp_path)
    _write_latents(tmp_path)
    gt, enlarged = PreparedDataset(tmp_path).pictures(0)
    assert gt.dtype == torch.uint8 and gt.shape == enlarged.shape == (3, 24, 16)
    np.testing.assert_array_equal(gt.permute(1, 2, 0), np.asarray(images.scene(16, 24)))


def test_the_released_codes_files_are_read(tmp_path):
    """Bare tensors in .pt files, some with the batch's dimension; NULL_ files among the samples."""
    tensors = {
        layout.LATENT_HR: torch.randn(1, 4, 3, 2).half(),
        layout.LATENT_LR: torch.randn(4, 3, 2),
        layout.PROMPT_EMBEDS: torch.randn(1, 5, 6),
        layout.POOLED: torch.randn(7),
    }
    for kind, tensor in tensors.items():
        (tmp_path / kind.folder).mkdir()
        torch.save(tensor, tmp_path / kind.folder / "0000001.pt")
        if kind in (layout.PROMPT_EMBEDS, layout.POOLED):
            torch.save(tensor * 0, tmp_path / kind.folder / f"NULL_{kind.folder}.pt")
    data = PreparedDataset(tmp_path)
    assert data.names == ["0000001"]
    assert torch.equal(data[0].latent_hr, tensors[layout.LATENT_HR][0].float())
    assert torch.equal(data[0].prompt_embeds, tensors[layout.PROMPT_EMBEDS][0])
    assert data.null.prompt_embeds.shape == (1, 5, 6) and not data.null.prompt_embeds.any()
    assert data.null.pooled_prompt_embeds.shape == (1, 7)


def test_what_is_missing_is_said_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        PreparedDataset(tmp_path / "none")
    with pytest.raises(InputError, match="no training pairs") as caught:
        PreparedDataset(tmp_path)
    assert "dit4sr data pairs" in caught.value.hint
    _write_pictures(tmp_path)
    with pytest.raises(InputError, match=r"3 of 3 pairs have no latents") as caught:
        PreparedDataset(tmp_path)
    assert f"dit4sr data latents {tmp_path}" in caught.value.hint
    _write_latents(tmp_path)
    _write_embeds(tmp_path, NAMES[:1])
    with pytest.raises(InputError, match=r"2 of 3 pairs have no embeds \(b-0, b-1\)") as caught:
        PreparedDataset(tmp_path)
    assert f"dit4sr data embeds {tmp_path}" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a-0.safetensors", b"torn", "damaged"),
        ("a-0.safetensors", files.tensor_bytes({"other": torch.ones(4, 3, 2)}), "without latent"),
        ("a-0.safetensors", files.tensor_bytes({"latent": torch.ones(3)}), "1 dimensions, not 3"),
        ("a-0.pt", b"torn", "damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, data, message):
    _write_latents(tmp_path, ["a-0"])
    path = tmp_path / "latent_hr" / "a-0.safetensors"
    path.unlink()
    path.with_name(name).write_bytes(data)
    with pytest.raises(InputError, match=rf"latent_hr/{re.escape(name)}.*{message}"):
        PreparedDataset(tmp_path)[0]


def test_code_in_a_pickle_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    _write_latents(tmp_path, ["a-0"])
    (tmp_path / "latent_hr" / "a-0.safetensors").unlink()
    torch.save(Evil(), tmp_path / "latent_hr" / "a-0.pt")
    with pytest.raises(InputError, match="damaged"):
        PreparedDataset(tmp_path)[0]
    assert not (tmp_path / "ran").exists()


def test_damaged_shards_are_named(tmp_path):
    shard = tmp_path / "shard-00000.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(images.save(tmp_path / "a.png", 64, 64), "a-0.gt.png")
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(InputError, match=r"shard-00000\.tar"):
        PreparedDataset(tmp_path)
