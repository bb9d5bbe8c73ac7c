"""Small folders through the whole comparison, and through the command."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import numpy as np
import pytest
from helpers import images
from helpers.cli import command, environment, run_cli
from PIL import Image

from dit4sr_cli.core.errors import InputError, OutputError, UsageError
from dit4sr_cli.core.events import PhaseStarted, Warned
from dit4sr_cli.evaluation import benchmarks, run, study
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.methods import Method, load_picture
from dit4sr_cli.evaluation.metrics import METRICS, Needs
from dit4sr_cli.evaluation.run import Comparison, Keep, evaluate

FAST = ("psnr", "ssim", "sharpness")


@pytest.fixture
def folders(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir(), large.mkdir()
    for name, size in (("a", (64, 48)), ("b", (48, 48))):
        original = images.scene(*size)
        original.save(large / f"{name}.png")
        original.resize((size[0] // 4, size[1] // 4), Image.BICUBIC).save(small / f"{name}.png")
    return small, large


class Nearest:
    """A method that counts what it is asked for."""

    def __init__(self, name="nearest"):
        self.calls, self.loads, self.name = [], 0, name

    def __call__(self):
        def load(cases):
            self.loads += 1
            return enlarge

        def enlarge(case, small, scale):
            self.calls.append(case.name)
            return small.repeat(int(scale), axis=0).repeat(int(scale), axis=1)

        return Method(self.name, load, lambda case: "nearest 1")


def compared(folders, **more):
    return Comparison(inputs=folders[0], references=folders[1], metrics=FAST, **more)


def test_methods_and_folders_are_measured(folders):
    seen = []
    wanted = compared(folders, methods=[Nearest()()], outputs={"perfect": folders[1]})
    found = evaluate(wanted, observe=seen.append)
    assert found.methods == ["bicubic", "nearest", "perfect"] and found.pictures == ["a", "b"]
    perfect = {row.picture: row.values for row in found.of("perfect")}
    assert perfect["a"]["psnr"] == float("inf") and perfect["a"]["sharpness"] == 1
    assert found.seconds("nearest") is not None and found.seconds("perfect") is None
    assert PhaseStarted("nearest: b (2/2)") in seen
    assert found.about["inputs"].startswith("2 pictures, sha256 ")


def test_what_was_measured_is_not_measured_again(folders, tmp_path):
    keep, nearest = Keep(folder=tmp_path / "kept"), Nearest()
    first = evaluate(compared(folders, methods=[nearest()]), keep=keep)
    again = evaluate(compared(folders, methods=[nearest()]), keep=keep)
    assert nearest.calls == ["a", "b"] and nearest.loads == 1
    assert [row.values for row in first.rows] == [row.values for row in again.rows]
    images.scene(12, 12).transpose(Image.FLIP_LEFT_RIGHT).save(folders[0] / "b.png")
    evaluate(compared(folders, methods=[nearest()]), keep=keep)
    assert nearest.calls == ["a", "b", "b"]
    (tmp_path / "kept" / "nearest" / "a.png").unlink()
    evaluate(compared(folders, methods=[nearest()]), keep=keep)
    assert nearest.calls == ["a", "b", "b", "a"]


def test_scores_that_were_cut_off(folders, tmp_path):
    keep, nearest = Keep(folder=tmp_path / "kept"), Nearest()
    whole = evaluate(compared(folders, methods=[nearest()]), keep=keep)
    path = tmp_path / "kept" / "scores.jsonl"
    path.write_bytes(path.read_bytes()[:-25])
    again = evaluate(compared(folders, methods=[nearest()]), keep=keep)
    assert [row.values for row in whole.rows] == [row.values for row in again.rows]
    assert len(nearest.calls) == 2


def test_ctrl_c_leaves_a_valid_state(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    for index in range(40):
        images.scene(48, 48).rotate(index * 3).save(small / f"{index:02}.png")
    args = ["eval", small, "--model", "nano", "--metrics", "niqe", "--save", tmp_path / "kept"]
    process = subprocess.Popen(
        command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    scores = tmp_path / "kept" / "scores.jsonl"
    began = time.monotonic()
    while not (scores.exists() and b"nano" in scores.read_bytes()):
        assert time.monotonic() - began < 120 and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and stdout == b""
    made = sorted((tmp_path / "kept" / "nano").glob("*.png"))
    assert 0 < len(made) < 40 and not list(tmp_path.rglob("*.part"))
    assert all(json.loads(line) for line in scores.read_bytes().splitlines())
    stamps = {path: path.stat().st_mtime_ns for path in made}
    done = run_cli(*args)
    assert done.code == 0, done.stderr
    kept = [path.stat().st_mtime_ns == stamp for path, stamp in stamps.items()]
    assert sum(kept) >= len(kept) - 1  # the last one may have been unrecorded
    assert b"mean of 40" in done.stdout


def test_without_references(folders):
    found = evaluate(
        Comparison(inputs=folders[1], metrics=["niqe?"], outputs={}, methods=[Nearest()()])
    )
    assert [m.name for m in found.metrics] == ["niqe"]
    with pytest.raises(InputError, match=r"a by small: 16x12, but x4 of 64x48 is 256x192"):
        evaluate(Comparison(inputs=folders[1], metrics=["niqe"], outputs={"small": folders[0]}))


def test_a_metric_of_sets_sees_matched_files(folders, monkeypatch):
    def measure(results, originals):
        names = [sorted(path.stem for path in folder.iterdir()) for folder in (results, originals)]
        assert names == [["a", "b"]] * 2
        return float(np.asarray(Image.open(results / "a.png")).mean())

    from dataclasses import replace

    fid = replace(METRICS["fid"], load=lambda fetch: Loaded(measure, "1"))
    monkeypatch.setitem(METRICS, "fid", fid)
    images.save(folders[1] / "unasked.png")
    wanted = Comparison(inputs=folders[0], references=folders[1], metrics=["psnr", "fid"])
    found = evaluate(wanted)
    assert fid.needs is Needs.SETS and found.mean("bicubic", fid) > 0
    assert [one.metric.name for one in found.differences()] == []


def test_what_is_kept(folders, tmp_path):
    keep = Keep(folder=tmp_path / "kept", sheet=tmp_path / "new" / "sheet.png", crop=16)
    evaluate(compared(folders, outputs={"perfect": folders[1]}), keep=keep)
    kept = {p.relative_to(keep.folder).as_posix() for p in keep.folder.rglob("*") if p.is_file()}
    assert kept - {".lock"} == {
        "report.md",
        "report.json",
        "scores.jsonl",
        "bicubic/a.png",
        "bicubic/b.png",
    }
    assert Image.open(keep.sheet).width == 4 * 16 + 3 * 4


def test_benchmarks_are_known_by_layout_and_name(tmp_path, folders):
    place = tmp_path / "DrealSRVal_crop128"
    place.mkdir()
    folders[0].rename(place / "test_LR")
    folders[1].rename(place / "test_HR")
    layout = benchmarks.find(place)
    assert (layout.inputs.name, layout.references.name) == ("test_LR", "test_HR")
    assert layout.benchmark.name == "DrealSR"
    assert benchmarks.find(place / "test_LR").benchmark.name == "DrealSR"
    said = []
    found = evaluate(Comparison(inputs=place, metrics=["psnr"]), observe=said.append)
    assert found.published["DiT4SR"]["psnr"] == 25.806 and len(found.published) == 11
    assert "DrealSR has 93 pictures, and 2 are here" in next(
        event.message for event in said if isinstance(event, Warned)
    )
    with pytest.raises(UsageError, match="no benchmark"):
        benchmarks.find(place, named="Set5")
    with pytest.raises(InputError, match="RealSR has references"):
        benchmarks.find(place / "test_HR", named="RealSR")


def test_bicubic_is_pillow_s(folders):
    from dit4sr_cli.evaluation.methods import enlarged

    small = load_picture(folders[0] / "a.png")
    expected = Image.fromarray(small).resize((64, 48), Image.BICUBIC)
    assert (enlarged(small, 4) == np.asarray(expected)).all()


def test_grey_and_16_bit_are_measured_as_colour(tmp_path):
    Image.fromarray(np.full((5, 6), 40_000, np.uint16)).save(tmp_path / "grey.png")
    loaded = load_picture(tmp_path / "grey.png")
    assert loaded.shape == (5, 6, 3) and (loaded == round(40_000 / 257)).all()


def test_nothing_is_loaded_when_the_folders_do_not_fit(folders):
    nearest = Nearest()
    (folders[1] / "b.png").unlink()
    with pytest.raises(InputError, match="no reference for b"):
        evaluate(compared(folders, methods=[nearest()]))
    assert nearest.loads == 0


def test_other_sizes_are_refused(folders):
    with pytest.raises(InputError, match="a by small: 16x12, but the reference has 64x48"):
        evaluate(compared(folders, outputs={"small": folders[0]}))
    images.scene(64, 64).save(folders[1] / "a.png")
    with pytest.raises(InputError, match="16x12 is not 64x64 made smaller"):
        evaluate(compared(folders))


@pytest.mark.parametrize("name", ["bicubic", "nearest", "reference", "a/b", ".."])
def test_names_that_would_clash(folders, name):
    with pytest.raises(UsageError, match="name"):
        evaluate(compared(folders, methods=[Nearest()()], outputs={name: folders[1]}))


def test_a_folder_that_cannot_be_written(folders, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        evaluate(compared(folders), keep=run.Keep(folder=tmp_path / "file" / "kept"))


# ---------------------------------------------------------------- studies


def write_study(folder, variants=("full", "A"), seeds=(0, 1, 2)):
    runs = {}
    for variant in variants:
        for seed in seeds:
            name = f"{variant}-{seed}"
            (folder / name / "model").mkdir(parents=True)
            runs[name] = {"variant": variant, "seed": seed, "model": f"{name}/model"}
    values = {"schema": 1, "variants": list(variants), "seeds": list(seeds), "runs": runs}
    (folder / "study.json").write_text(json.dumps(values))
    return folder


def test_a_study_is_tabulated_by_variant(folders, tmp_path):
    made = study.read_study(write_study(tmp_path / "study"))

    def method_of(name, model):
        variant, seed = name.split("-")

        def enlarge(case, small, scale):
            large = np.asarray(
                Image.fromarray(small).resize((small.shape[1] * 4, small.shape[0] * 4))
            )
            return np.clip(
                large.astype(int) + (30 if variant == "A" else 0) + int(seed), 0, 255
            ).astype(np.uint8)

        return Method(name, lambda cases: enlarge)

    wanted = Comparison(inputs=folders[0], references=folders[1], metrics=["psnr"])
    found = study.tabulate(made, wanted, method_of=method_of)
    (psnr,) = found.report.metrics
    assert found.order(psnr) == ["full", "A"]
    gap = next(one.difference for one in found.standings() if one.variant == "A")
    assert gap.n == 3 and gap.high < 0
    text = study.rendered(found, "md")
    assert "paper's order, MUSIQ on RealLQ250: full > A" in text and "1 of 1 pairs" in text
    assert json.loads(study.rendered(found, "json"))["standings"][0]["variant"] == "full"


def test_the_paper_s_order():
    variants = ["A", "controlnet", "full", "D", "C", "B", "other"]
    assert study.published_order(variants, "musiq") == ["full", "D", "C", "B", "A", "controlnet"]
    assert study.agreement(["A", "B", "C"], ["C", "B", "A"]) == (0, 3)


def test_studies_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"study\.json: cannot be read"):
        study.read_study(tmp_path)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(InputError, match="not a study"):
        study.read_study(tmp_path)
    folder = write_study(tmp_path / "s")
    (folder / "A-1" / "model").rmdir()
    with pytest.raises(InputError, match=r"A-1.*no such folder"):
        study.read_study(folder)


# ---------------------------------------------------------------- the command


def cli(folders, *args):
    small, large = folders
    return run_cli("eval", small, "--reference", large, "--metrics", "psnr,ssim", *args)


def test_the_command_prints_a_table(folders):
    done = cli(folders, "--model", "mine=nano", "--outputs", f"perfect={folders[1]}")
    assert done.code == 0, done.stderr
    assert b"| perfect" in done.stdout and b"| mine" in done.stdout


def test_the_command_prints_json(folders):
    record = json.loads(cli(folders, "--no-model", "--json").stdout)
    assert record["command"] == "eval" and set(record["methods"]) == {"bicubic"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--outputs", "perfect"], "NAME=PATH"),
        (["--outputs", "x=1", "--outputs", "x=2"], "twice"),
        (["--format", "html"], "no such format"),
        (["--against", "nobody"], "no such row"),
        (["--paper", "Set5"], "no benchmark"),
        (["--metrics", "mse"], "no metric"),
        (["--model", "nano"], "exclude"),
    ],
)
def test_wrong_words(folders, args, said):
    done = cli(folders, "--no-model", *args)
    assert done.code == 2 and said in done.stderr and len(done.lines) == 1
