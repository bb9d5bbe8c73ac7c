"""Files of lines that only grow, cut off anywhere."""

import errno
import os

import pytest

from dit4sr_cli.core.lines import opened


def test_lines_are_found_again(tmp_path):
    log, _ = opened(tmp_path / "log")
    for line in (b"one", b"two"):
        log.add(line)
    assert opened(log.path)[1] == [b"one", b"two", b""]
    assert log.path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("length", range(9))
def test_after_a_cut_whole_lines_stay_apart(tmp_path, length):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n"[:length])
    opened(path)[0].add(b"new")
    kept = b"one\ntwo\n"[:length].removesuffix(b"\n")
    assert path.read_bytes() == (kept + b"\n" if kept else b"") + b"new\n"


def test_a_full_disk_leaves_the_next_line_readable(tmp_path, monkeypatch):
    log, _ = opened(tmp_path / "log")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            log.add(b"first")
    log.add(b"second")
    assert opened(log.path)[1] == [b"fi", b"second", b""]
