"""Which device and precision to compute with."""

from __future__ import annotations

import torch

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice, Precision

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.FP16: torch.float16,
    Precision.BF16: torch.bfloat16,
}


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
    """The transformer's type; `auto`: float32 on the CPU, bfloat16 or float16 elsewhere."""
    precision = Precision(precision)
    if precision is not Precision.AUTO:
        return _DTYPES[precision]
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16
