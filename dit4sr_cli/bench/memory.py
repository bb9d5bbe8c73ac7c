"""The most memory that this process has had."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_resident() -> int:
    """Peak resident bytes of this process alone; 0 where the system does not say.

    `getrusage` would also count what the parent held when it started this process.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _by_rusage()


def _by_rusage() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
