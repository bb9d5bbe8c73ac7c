"""The flags of every command are frozen: a change here is a change of the public surface."""

from __future__ import annotations

import inspect
import re

import pytest
import typer
from helpers.cli import run_cli

from dit4sr_cli.cli.app import app

TALK = {"-q", "--quiet", "-v", "--verbose", "--json", "--help"}
SAMPLING = {
    "--model",
    "--steps",
    "--guidance",
    "-s",
    "--seed",
    "--color-fix",
    "--tile",
    "--overlap",
    "--device",
    "--dtype",
}
SHORTCUTS = {
    *("--grid", "--shift", "--solver", "--guidance-from", "--guidance-to", "--reuse", "--coarse")
}
PICTURE = {
    "--preset",
    *SHORTCUTS,
    "--scale",
    "--long-edge",
    "--prompt",
    "--prompt-file",
    "--prompts",
    "--caption",
    "--captioner",
    "--suffix",
    "--negative-prompt",
    "--no-t5",
    "--low-memory",
    "--quantize",
    "--start",
    "-o",
    "--output",
    "--format",
    "--quality",
    "--overwrite",
    "--sidecar",
    "--no-record",
    "--max-megapixels",
    "--fidelity",
}
PULL = {"--pull", "--accept-licence"}
NAMES = {"--output-template", "--include", "--exclude"}
FLAGS = {
    (): {"--version", "--help"},
    ("help",): {"--help"},
    ("completion",): {"--help"},
    ("complete",): {"--help"},
    ("upscale",): TALK | SAMPLING | PICTURE | PULL | {"--map", "--seeds"},
    ("batch",): TALK
    | SAMPLING
    | PICTURE
    | PULL
    | NAMES
    | {
        "--skip-existing",
        "--dry-run",
        "-j",
        "--jobs",
        "--ray",
        "--limit",
        "--fail-fast",
        "--report",
    },
    ("preview",): (TALK | SAMPLING | PICTURE | PULL | {"--at", "--size", "--show"})
    - {"--format", "--quality", "--sidecar", "--no-record"},
    ("plan",): TALK | NAMES | {"--skip-existing"} | SAMPLING | PICTURE,
    ("ui",): TALK
    | {
        *("--host", "--port", "--no-token", "--no-open", "--model", "--caption", "--captioner"),
        *("--device", "--dtype", "--no-t5", "--low-memory", "--quantize", "--max-megapixels"),
    },
    ("watch",): TALK | SAMPLING | PICTURE | NAMES | {"--settle", "--once"},
    ("study", "page"): TALK | {"--lr", "-o", "--output", "--crop", "-s", "--seed", "--overwrite"},
    ("study", "tally"): TALK | {"--page"},
    ("inspect", "attention"): TALK
    | {
        *("-o", "--output", "--at", "--step", "--blocks", "--model", "--steps", "-s", "--seed"),
        *("--prompt", "--tile", "--device", "--dtype", "--low-memory", "--overwrite"),
    },
    ("info",): TALK,
    ("verify",): TALK | {"--source"},
    ("rerun",): TALK | {"--source", "-o", "--output", "--model", "--force", "--overwrite"},
    ("check",): TALK | {"--strict", "--max-megapixels"},
    ("compare",): TALK
    | {"-o", "--output", "--png", "--reduce-to", "--overwrite", "--max-megapixels"},
    ("caption",): TALK
    | {
        "--write-sidecars",
        "--overwrite",
        "--captioner",
        "--no-filter",
        "-s",
        "--seed",
        "--device",
        "--dtype",
        "--max-megapixels",
    },
    ("eval",): TALK
    | SAMPLING
    | {
        "--reference",
        "--outputs",
        "--metrics",
        "--save",
        "--sheet",
        "--sheet-crop",
        "--no-model",
        *("--baseline", "--study", "--benchmark", "--paper", "--against", "--format", "--scale"),
        *("--fetch", "--prompts", "--caption", "--captioner"),
    },
    ("bench",): TALK
    | (SAMPLING - {"-s", "--seed", "--color-fix"})
    | {"--size", "--runs", "--preset", "--compare", "--versus", "--random-weights"},
    ("train",): TALK
    | {
        "--data",
        "-o",
        "--output",
        "--initial",
        "--stop-after",
        "--device",
        "--study",
        "--seeds",
        "--only",
    },
    ("data",): {"--help"},
    ("study",): {"--help"},
    ("inspect",): {"--help"},
    ("data", "photos"): TALK | {"--debs"},
    ("data", "pairs"): TALK
    | {"-o", "--output", "-s", "--seed", "--size", "--per-photo", "--crops", "--max-reduction"}
    | {"--mirror", "--shards", "--workers"},
    ("data", "captions"): TALK
    | {"--captioner", "--from", "--empty", "--no-filter", "-s", "--seed", "--device", "--dtype"},
    ("data", "latents"): TALK | {"--model", "--batch", "--device", "--dtype"},
    ("data", "embeds"): TALK | {"--model", "--batch", "--no-t5", "--device", "--dtype"},
    ("data", "pack"): TALK | {"-o", "--output", "--shards"},
    ("doctor",): TALK,
    ("models",): {"--help"},
    ("models", "list"): TALK,
    ("models", "path"): TALK,
    ("models", "info"): TALK,
    ("models", "verify"): TALK,
    ("models", "remove"): TALK | {"--base", "--yes"},
    ("models", "pull"): TALK
    | {
        "--t5",
        "--no-t5",
        "--captioner",
        "--dtype",
        "--revision",
        "--from",
        "--accept-licence",
        "-j",
        "--jobs",
    },
}


def _flags(help_text: str) -> set[str]:
    rows = re.findall(r"^  (-[^ ].*)$", help_text, re.MULTILINE)
    return {flag for row in rows for flag in re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", row[:30])}


@pytest.mark.parametrize("path", FLAGS, ids=lambda path: " ".join(path) or "dit4sr")
def test_flags_are_frozen(path):
    done = run_cli(*path, "--help", env={"COLUMNS": "200"})
    assert done.code == 0
    assert done.stderr == ""
    assert _flags(done.stdout.decode()) == FLAGS[path]


def test_every_command_is_frozen():
    def paths(command, path=()):
        yield path
        for name, below in getattr(command, "commands", {}).items():
            yield from paths(below, (*path, name))

    assert set(paths(typer.main.get_command(app))) == set(FLAGS)


def test_defaults_are_those_of_the_settings():
    from dit4sr_cli.cli.upscale import upscale
    from dit4sr_cli.core.settings import (
        CaptionSettings,
        ModelSettings,
        OutputSettings,
        UpscaleSettings,
    )

    for settings, renamed in (
        (UpscaleSettings(), {"scale": None}),
        (OutputSettings(), {"target": "output", "record": None}),
        (ModelSettings(), {"precision": "dtype", "t5": None}),
        (CaptionSettings(), {}),
    ):
        for name in settings.__dataclass_fields__:
            option = renamed.get(name, name)
            if option is not None:
                default = inspect.signature(upscale).parameters[option].default
                assert default == getattr(settings, name), name
