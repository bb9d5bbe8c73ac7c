"""How much memory a device has left, how to give some back, and how to do with less."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

KEPT_TENSOR = 128 << 20
"""Bytes: larger tensors go back to the system when they are freed."""
KEPT_IN_ALL = 256 << 20
"""Bytes that are kept when nothing uses them."""
_LARGE = 1 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "invalid buffer size")


def keep_pages() -> None:
    """Have the C library keep freed memory for the next tensor of its size.

    glibc gives large ones back to the system at once, which then has to clear the same pages again
    for each intermediate result: a sixth of the time of a small network. Elsewhere nothing happens.
    """
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_TENSOR)
        mallopt(_M_TRIM_THRESHOLD, KEPT_IN_ALL)


def return_pages() -> None:
    """Have glibc give freed memory back at once: holes that loading leaves would stay for good."""
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def trim(device: torch.device) -> None:
    """Give back what the C library holds in reserve."""
    if device.type == "cpu" and (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def free_bytes(device: torch.device) -> int | None:
    """What can still be allocated there; None where the system does not say."""
    if device.type == "cuda":
        # What torch holds in reserve but does not use counts as free.
        reserve = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + reserve
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _free_host_bytes()


def release(device: torch.device) -> None:
    """Give back what nobody uses any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    else:
        trim(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is a device's or the machine's way to say that memory is short.

    CUDA has a class for it; MPS and the CPU's allocator have only words.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(p in str(error).lower() for p in _PHRASES)


class Fitting:
    """A function of batches that are split in two when memory is short; remembers what fitted."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        device: torch.device,
        *,
        largest: int | None = None,
    ) -> None:
        self._function, self._device = function, device
        self.largest = largest
        """The largest batch to try; None: any."""

    def __call__(self, *batches: Tensor, **same: object) -> Tensor:
        """Apply the function to tensors [B, ...], and to what is the same for all; join on B."""
        count = len(batches[0])
        while True:
            size = min(count, self.largest or count)
            try:
                parts = [
                    self._function(*(batch[start : start + size] for batch in batches), **same)
                    for start in range(0, count, size)
                ]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except (RuntimeError, MemoryError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
            release(self._device)  # after the except: the error holds on to its frames' tensors
            self.largest = (size + 1) // 2


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; macOS and musl have it not, Windows has no such library."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found


def _free_host_bytes() -> int | None:
    limits = [found for found in (_meminfo(), _cgroup_rest()) if found is not None]
    return min(limits) if limits else None


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:  # macOS does not say what is free: half of what is there is a fair guess
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_rest() -> int | None:
    """What a container is allowed beyond what it uses."""
    folder = Path("/sys/fs/cgroup")
    try:
        allowed = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
        return None if allowed == "max" else int(allowed) - int(used)
    except (OSError, ValueError):
        return None
