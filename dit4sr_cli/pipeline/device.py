"""Which device and precision to compute with, and what each device can do."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice, Precision, Quantize
from dit4sr_cli.model import kernels

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.FP16: torch.float16,
    Precision.BF16: torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kind of device must not be asked for.

    Args:
        window: side in latent cells of what the VAE decodes at once, without its margin.
        max_elements: of one tensor.
        has_float64: whether it knows float64.
    """

    window: int = 128
    max_elements: int | None = None
    has_float64: bool = True


_LIMITS = {"mps": Limits(window=64, max_elements=(1 << 31) - 1, has_float64=False)}


def limits_of(device: torch.device) -> Limits:
    """What this kind of device must not be asked for."""
    return _LIMITS.get(device.type, Limits())


def pick_device(choice: DeviceChoice | str = DeviceChoice.AUTO) -> torch.device:
    """The device asked for; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: the device is not on this machine.
    """
    choice = DeviceChoice(choice)
    present = {
        DeviceChoice.CUDA: torch.cuda.is_available(),
        DeviceChoice.MPS: torch.backends.mps.is_available(),
        DeviceChoice.CPU: True,
    }
    if choice is DeviceChoice.AUTO:
        return torch.device(next(device.value for device, there in present.items() if there))
    if not present[choice]:
        names = ", ".join(device.value for device, there in present.items() if there)
        raise UsageError(
            f"--device {choice.value}: this machine has none that torch can use",
            hint=f"available here: {names}",
        )
    return torch.device(choice.value)


def pick_dtype(precision: Precision | str, device: torch.device) -> torch.dtype:
    """The transformer's type; `auto`: float32 on the CPU, bfloat16 or float16 elsewhere.

    `fast` is `auto`, but for CPUs that multiply matrices of bfloat16 faster.
    """
    precision = Precision(precision)
    if precision in _DTYPES:
        return _DTYPES[precision]
    if device.type == "cpu":
        is_wanted = precision is Precision.FAST and kernels.has_fast_bfloat16()
        return torch.bfloat16 if is_wanted else torch.float32
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float16


def check_quantize(
    how: Quantize, device: torch.device, *, plain: bool = False, low_memory: bool = False
) -> None:
    """Find out before anything is read whether matrices can be quantised like this.

    Raises:
        UsageError: the device cannot, or the transformer runs in a form in which they are not.
    """
    option = f"--quantize {how.value}"
    if how is Quantize.NONE:
        return
    if plain or low_memory:
        other = "the plain path" if plain else "--low-memory"
        raise UsageError(f"{option} and {other} exclude each other", hint="choose one of them")
    if how is Quantize.INT8 and not _multiplies_int8(device):
        where = "this processor" if device.type == "cpu" else device.type
        raise UsageError(
            f"{option}: {where} has no fast 8-bit products",
            hint="--quantize int4 saves memory on any device",
        )
    if how is Quantize.FP8 and not _multiplies_fp8(device):
        raise UsageError(
            f"{option} needs an NVIDIA card of compute capability 8.9 or later",
            hint="--quantize int8 or int4 run on others",
        )


def _multiplies_int8(device: torch.device) -> bool:
    """On the CPU only with VNNI: without it sums of large values saturate."""
    if device.type != "cpu":
        return device.type == "cuda"
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_vnni") or able.get("avx_vnni") or able.get("amx_int8"))


def _multiplies_fp8(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability() >= (8, 9)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is arithmetic of the device's own, not emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    return False


def wider(dtype: torch.dtype, device: torch.device) -> torch.dtype | None:
    """The next type with a greater range, to compute again in what overflowed; None: there is none.

    Float16 ends at 65504; bfloat16 reaches as far as float32.
    """
    if dtype == torch.float16:
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return None
