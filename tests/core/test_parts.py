"""What is left half written is removed for its own target, and for no other."""

import os
import subprocess
import sys

import pytest
from helpers.cli import environment

from dit4sr_cli.core.parts import part_of, sweep

WRITER = """
import sys
from pathlib import Path
from dit4sr_cli.imaging.placing import whole_file
with whole_file(Path(sys.argv[1]), overwrite=False) as stream:
    stream.write(b"half ")
    stream.flush()
    print("begun", flush=True)
    stream.write(sys.stdin.buffer.read())
"""


def _begin(target):
    """A process that has written half a file, and writes the rest when it gets it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, target],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline().strip() == b"begun"
    return process


def test_a_killed_writer_is_cleaned_up_after_and_another_goes_on(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    killed, alive = _begin(first), _begin(second)
    killed.kill()
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 2
    sweep(first)
    [left] = tmp_path.iterdir()
    assert left.read_bytes() == b"half "
    alive.communicate(b"and half", timeout=60)
    assert alive.returncode == 0
    assert second.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [second]


def test_names_alike_are_told_apart(tmp_path):
    names = ["a.png", "a.png.json", "b.png", "A.png", "[a].png", "*.png", "ä" * 127]
    parts = {name: part_of(tmp_path / name) for name in names}
    for part in parts.values():
        part.touch()
        assert part.match(".dit4sr-*.part")
    (tmp_path / ".dit4sr-0123456789ab.part").touch()
    for count, name in enumerate(reversed(names)):
        sweep(tmp_path / name)
        assert not parts[name].exists()
        assert len(list(tmp_path.iterdir())) == len(names) - count


def test_finished_files_stay(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    assert part_of(target) != part_of(target)
    sweep(target)
    assert target.read_bytes() == b"precious"


def test_a_missing_folder_is_nothing_to_do(tmp_path):
    sweep(tmp_path / "none" / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_are_followed_as_in_writing(tmp_path):
    (tmp_path / "real").mkdir()
    link, file = tmp_path / "link.png", tmp_path / "real" / "file.png"
    link.symlink_to(file)
    part = part_of(file)
    part.touch()
    sweep(link)
    assert not part.exists()
