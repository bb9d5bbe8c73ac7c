"""What the pages' commands find in their folder; and what cannot run as it stands, and why."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from helpers import images

from dit4sr_cli.training.recipes import shipped

NOT_RUN = (
    (r"^(pip|pipx|uv tool) install ", "changes the installation; .ci/run does it in a clean one"),
    (r"^docker ", "needs its service"),
    (r"^hf auth login", "asks a person for a token"),
    (r"^ray start|--ray auto", "a cluster; tests/jobs/test_cluster.py has one"),
    (r"^dit4sr data photos ", "downloads 1 GB of packages"),
    (r"--study STUDY", "a study takes training; the page on it makes one and tabulates it"),
    (r"^torchrun --nnodes 4", "four machines"),
    (r"realesrgan-ncnn-vulkan", "another program"),
    (r"--random-weights full", "12 GB of memory"),
    (r"--metrics paper|--baseline ", "weights that are not here"),
    (r"^dit4sr study tally ", "votes come from a person; tests/report/test_study_browser.py votes"),
    (r"^dit4sr ui", "stays open until Ctrl-C; tests/ui has a browser"),
)
"""Commands that are not run. Their options are checked all the same."""

SMALLER = (
    (r"--long-edge \d{4}", "--long-edge 300"),
    (r"--workers 8", "--workers 1"),
    (r"train (nano|paper) ", r"train recipes/\1.toml "),
    (
        r"train --study ablations (.*) --seeds 3",
        r"train recipes/nano-begin.toml --study ablations --only full,A \1",
    ),
    (r"--nproc-per-node 8", "--nproc-per-node 2"),
    (r"^dit4sr bench$", "dit4sr bench --runs 1 --steps 2 --size 32x32 --device cpu"),
    (r'--compare "steps=4" "steps=8,tile=32"', '--runs 1 --compare "steps=1" "steps=2,tile=8"'),
    (r"steps=20,40", "steps=1,2"),
    (r"\[20, 40\]", "[1, 2]"),
    (r"--at 1200,800 --at 300,90", "--at 24,16 --at 9,9"),
    (
        r"--at 120,80 --at 200,90 --blocks 0,11,23 --step 10",
        "--at 12,8 --at 20,9 --blocks 0,1 --step 2",
    ),
    (r"--model sd3.5-medium$", "--model dit4sr-q"),  # a base alone has the published widths
    (r"/media/disk/hub", "hub"),
    (r"(models pull.*)", r"\1 --accept-licence"),
    (r"(models remove.*)", r"\1 --yes"),
)
"""The same in less time, without a person, and below the folder."""

RESULTS = {
    "record": ("out.png",),
    "python": ("photo_x4.png",),
    "fidelity": ("scan_x4.png",),
    "compare": ("photo_x4.png", "a.png", "b.png"),
}
"""Pages that begin with results that are there."""

PULLED = ("attention", "data", "models", "training")
"""Pages that are about the published models: tiny ones are pulled already."""


def smaller(command: str) -> str:
    """A command as it is run here."""
    for pattern, replacement in SMALLER:
        command = re.sub(pattern, replacement, command)
    return command


def make_files(folder: Path) -> None:
    """Pictures and folders under all the names that the pages use."""
    for name in ("photo.jpg", "phone.jpg", "old.jpg", "scan.jpg"):
        images.save(folder / name, 48, 32)
    for name in ("scan.tif", "negative.tif", "positive.tif"):
        images.save(folder / name, 48, 32)
    for name in ("scans/01.tif", "scans/02.tif", "scans/album/03.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        images.save(folder / name, 24, 16)
    for number in range(4):
        _pair(folder, f"{number:02}.png")
    for number in range(4):
        (folder / "photographs").mkdir(exist_ok=True)
        images.scene(560 + 8 * number, 540).save(folder / "photographs" / f"{number}.png")
    _make_recipes(folder / "recipes")


def _pair(folder: Path, name: str) -> None:
    """One picture small and large, also as a benchmark has them, with results of three others."""
    for place in ("small", "LR_DIR", "DrealSRVal_crop128/test_LR"):
        _save(folder / place / name, 48)
    for place in ("large", "HR_DIR", "DrealSRVal_crop128/test_HR"):
        _save(folder / place / name, 192)
    for place in ("results", "ours", "theirs", "nano", "bicubic", "out/q", "out/b"):
        _save(folder / place / name, 192)


def _save(path: Path, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images.save(path, side, side)


def _make_recipes(folder: Path) -> None:
    """Those that ship, cut to one step of one sample or two."""
    sources = {name: path for name, path in shipped().items() if name != "ablations"}
    folder.mkdir()
    for name, source in sources.items():
        text = source.read_text(encoding="utf-8")
        for key, value in (
            ("steps", "1"),
            ("batch", "4"),
            ("warmup", "0"),
            ("workers", "0"),
            ("samples", "1"),
            ("pictures", "1"),
            ("validation_photographs", "1"),
            ("mixed_precision", '"no"'),
            ("perceptual", "0.0"),
        ):
            text = re.sub(rf"^{key} = .*", f"{key} = {value}", text, flags=re.MULTILINE)
        text = re.sub(r'^initial = "(.*)"', r'initial = "\1.toml"', text, flags=re.MULTILINE)
        if "[validation]" not in text:
            text += "\n[validation]\nsamples = 1\npictures = 1\n"
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    shutil.copyfile(folder / "nano-begin.toml", folder.parent / "recipe.toml")
