"""The flags of every command are frozen: a change here is a change of the public surface."""

from __future__ import annotations

import inspect
import re

import pytest
from helpers.cli import run_cli

TALK = {"-q", "--quiet", "-v", "--verbose", "--json", "--help"}
FLAGS = {
    (): {"--version", "--install-completion", "--show-completion", "--help"},
    ("upscale",): TALK
    | {
        "-o",
        "--output",
        "--scale",
        "--long-edge",
        "--model",
        "--steps",
        "--guidance",
        "-s",
        "--seed",
        "--prompt",
        "--negative-prompt",
        "--start",
        "--color-fix",
        "--tile",
        "--overlap",
        "--device",
        "--dtype",
        "--format",
        "--quality",
        "--overwrite",
        "--max-megapixels",
    },
    ("doctor",): TALK,
    ("models",): {"--help"},
    ("models", "list"): TALK,
    ("models", "path"): TALK,
}


def _flags(help_text: str) -> set[str]:
    rows = re.findall(r"^  (-[^ ].*)$", help_text, re.MULTILINE)
    return {flag for row in rows for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row[:30])}


@pytest.mark.parametrize("path", FLAGS, ids=lambda path: " ".join(path) or "dit4sr")
def test_flags_are_frozen(path):
    done = run_cli(*path, "--help", env={"COLUMNS": "200"})
    assert done.code == 0
    assert done.stderr == ""
    assert _flags(done.stdout.decode()) == FLAGS[path]


def test_defaults_are_those_of_the_settings():
    from dit4sr_cli.cli.upscale import upscale
    from dit4sr_cli.core.settings import ModelSettings, OutputSettings, UpscaleSettings

    for settings, renamed in (
        (UpscaleSettings(), {"scale": None}),
        (OutputSettings(), {"target": "output"}),
        (ModelSettings(), {"precision": "dtype"}),
    ):
        for name in settings.__dataclass_fields__:
            option = renamed.get(name, name)
            if option is not None:
                default = inspect.signature(upscale).parameters[option].default
                assert default == getattr(settings, name), name
