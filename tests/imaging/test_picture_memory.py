"""A large picture needs little beyond its own array."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CODE = """
import gc, json, sys
from pathlib import Path
import numpy as np
from dit4sr_cli.imaging import metadata, reader, writer
from dit4sr_cli.imaging.picture import Metadata, Picture

def status(name):
    text = Path("/proc/self/status").read_text()
    return int(text.split(name + ":")[1].split()[0]) * 1024

def peak_of(step):
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status("VmRSS")
    kept = step()
    return (status("VmHWM") - before) / pixels.nbytes

rows, columns = np.arange(2000)[:, None] // 16, np.arange(3000)[None] // 32
pixels = np.repeat((rows + columns).astype(np.uint8)[..., None], 3, axis=2)
folder = Path(sys.argv[1])
small = Picture(pixels[:16, :16], None, Metadata(), "p", "png", "rgb")
large = Picture(pixels, None, Metadata(), "p", "png", "rgb")
peaks = {}
for name in ("jpeg", "png", "tiff"):
    writer.encode([small], format=name)
    target = folder / name
    peaks["write " + name] = peak_of(lambda: writer.write([large], target, format=name))
    peaks["read " + name] = peak_of(lambda: reader.read(target))
peaks["thumbnail"] = peak_of(lambda: metadata.make_thumbnail(pixels))
print(json.dumps(peaks))
"""


def test_peaks_in_units_of_the_array(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    assert len(peaks) == 7
    for step, peak in peaks.items():
        assert 0 <= peak < (1.7 if step.startswith("read") else 0.7), peaks
