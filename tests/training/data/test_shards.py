import io
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.training.data import files, layout
from dit4sr_cli.training.data.captions import nothing, write_captions
from dit4sr_cli.training.data.crops import CropSettings
from dit4sr_cli.training.data.latents import write_latents
from dit4sr_cli.training.data.pairs import PairSettings, make_pairs
from dit4sr_cli.training.data.prepared import PreparedDataset
from dit4sr_cli.training.data.shards import pack
from dit4sr_cli.weights.resolve import resolve

CPU = torch.device("cpu")


def _settings(**more):
    return PairSettings(crops=CropSettings(size=64), per_photo=3, **more)


def _finish(folder):
    list(write_captions(folder, lambda name, place: f"this is {name}"))
    list(write_latents(folder, resolve("nano"), device=CPU))


@pytest.fixture(scope="module")
def data(photographs, tmp_path_factory):
    """A finished folder of nine samples."""
    folder = tmp_path_factory.mktemp("finished")
    list(make_pairs(sorted(photographs.iterdir()), folder, _settings()))
    _finish(folder)
    null = {"prompt_embeds": torch.ones(5, 6), "pooled_prompt_embeds": torch.ones(7)}
    files.write(folder / layout.NULL, files.tensor_bytes(null))
    return folder


def _same(first, second):
    assert first.names == second.names
    for i in range(len(first)):
        assert torch.equal(first[i].latent_hr, second[i].latent_hr)
        assert torch.equal(first[i].latent_lr, second[i].latent_lr)
        for one, other in zip(first.pictures(i), second.pictures(i), strict=True):
            assert torch.equal(one, other)


def test_shards_hold_what_the_folder_holds(data, tmp_path):
    outcomes = list(pack(data, tmp_path / "shards", shards=2))
    assert [o.made for o in outcomes] == [5, 4]
    shards = PreparedDataset(tmp_path / "shards")
    _same(shards, PreparedDataset(data))
    assert torch.equal(shards.null.prompt_embeds, torch.ones(1, 5, 6))


def test_the_same_samples_make_the_same_bytes_and_are_kept(data, tmp_path):
    list(pack(data, tmp_path / "a", shards=2))
    list(pack(data, tmp_path / "b", shards=2))
    shards = sorted(path.name for path in (tmp_path / "a").glob("*.tar"))
    assert shards == ["shard-00000.tar", "shard-00001.tar"]
    for name in shards:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    times = [(tmp_path / "a" / name).stat().st_mtime_ns for name in shards]
    (tmp_path / "a" / "shard-00001.tar").unlink()
    assert [o.made for o in pack(data, tmp_path / "a", shards=2)] == [0, 4]
    assert (tmp_path / "a" / shards[0]).stat().st_mtime_ns == times[0]
    with pytest.raises(OutputError, match="shards 2, not shards 3"):
        list(pack(data, tmp_path / "a", shards=3))


def test_the_webdataset_library_reads_them(data, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="needs webdataset: the dev extra")
    list(pack(data, tmp_path, shards=2))
    urls = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    samples = {s["__key__"]: s for s in webdataset.WebDataset(urls, shardshuffle=False)}
    ours = PreparedDataset(data)
    assert sorted(samples) == ours.names
    for i, name in enumerate(ours.names):
        sample = samples[name]
        gt = Image.open(io.BytesIO(sample["gt.png"]))
        np.testing.assert_array_equal(np.asarray(gt), ours.pictures(i)[0].permute(1, 2, 0))
        assert Image.open(io.BytesIO(sample["lr.png"])).size == (16, 16)
        assert sample["prompt.txt"] == f"this is {name}\n".encode()
        assert torch.equal(load(sample["latent_hr.safetensors"])["latent"], ours[i].latent_hr)


def test_the_released_codes_tensors_go_into_shards_and_back(tmp_path):
    for kind in (layout.LATENT_HR, layout.LATENT_LR):
        (tmp_path / "data" / kind.folder).mkdir(parents=True)
        torch.save(torch.ones(4, 3, 2), tmp_path / "data" / kind.folder / "0000001.pt")
    list(pack(tmp_path / "data", tmp_path / "shards"))
    assert torch.equal(PreparedDataset(tmp_path / "shards")[0].latent_lr, torch.ones(4, 3, 2))


def test_pairs_straight_into_shards_are_those_of_the_folder(photographs, data, tmp_path):
    """Made, described and encoded in shards; and again, where a part of it is missing."""
    paths = sorted(photographs.iterdir())
    outcomes = list(make_pairs(paths, tmp_path, _settings(shards=2)))
    assert sum(o.made for o in outcomes) == 9
    with pytest.raises(InputError, match="9 of 9 pairs have no latents"):
        PreparedDataset(tmp_path)
    _finish(tmp_path)
    _same(PreparedDataset(tmp_path), PreparedDataset(data))
    assert {path.suffix for path in tmp_path.iterdir()} == {".tar", ".json", ".lock"}
    before = {path: path.read_bytes() for path in tmp_path.glob("*.tar")}
    assert len(before) == 2
    again = list(make_pairs(paths, tmp_path, _settings(shards=2)))
    assert sum(o.kept for o in again) == 9 and not any(o.made for o in again)
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(OutputError, match="shards 2, not shards 3"):
        list(make_pairs(paths, tmp_path, _settings(shards=3)))


def test_an_ended_run_is_gone_on_with_beside_its_shard(photographs, tmp_path):
    paths = sorted(photographs.iterdir())
    running = make_pairs(paths, tmp_path, _settings(shards=1))
    next(running)
    running.close()  # as Ctrl-C does
    assert not list(tmp_path.glob("*.tar"))
    assert len(list(tmp_path.glob(".shard-00000/gt/*.png"))) == 3
    outcomes = list(make_pairs(paths, tmp_path, _settings(shards=1)))
    assert sum(o.kept for o in outcomes) == 3 and sum(o.made for o in outcomes) == 6
    with tarfile.open(tmp_path / "shard-00000.tar") as tar:
        assert len(tar.getnames()) == 27
    assert not list(tmp_path.glob(".shard-*"))


def test_folders_that_cannot_be_packed(data, tmp_path):
    with pytest.raises(UsageError, match="folder of their own"):
        list(pack(data, data))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no samples"):
        list(pack(tmp_path / "empty", tmp_path / "out"))
    list(pack(data, tmp_path / "out"))
    with pytest.raises(InputError, match="in shards already"):
        list(pack(tmp_path / "out", tmp_path / "twice"))
    dotted = shutil.copytree(data, tmp_path / "dotted")
    next((dotted / "gt").iterdir()).rename(dotted / "gt" / "a.b.png")
    with pytest.raises(InputError, match=r"a dot in the name a\.b"):
        list(pack(dotted, tmp_path / "never"))
    assert not (tmp_path / "never").exists()


def test_a_shard_without_captions_is_completed(photographs, tmp_path):
    list(make_pairs(sorted(photographs.iterdir()), tmp_path, _settings(shards=1)))
    list(write_captions(tmp_path, nothing))
    with tarfile.open(tmp_path / "shard-00000.tar") as tar:
        captions = [name for name in tar.getnames() if name.endswith(".prompt.txt")]
        assert len(captions) == 9
        assert tar.extractfile(captions[0]).read() == b"\n"
