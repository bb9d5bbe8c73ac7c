"""Matrices with a bias: as they were read, or in fewer bits, which is nearly the same.

Only torch is needed for that. What is quantised is read exactly and rounded once, a matrix at a
time. Rows are tokens: N of them, from I to O channels.
"""

from __future__ import annotations

from math import gcd, prod
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from dit4sr_cli.core.types import Quantize

GROUP = 64
"""Neighbours in a row of a matrix of 4 bits that share scale and offset."""
FEW = 16
"""Rows of which CUDA multiplies no 8-bit matrix; and they would not gain by it."""
_TOP, _TOP_FP8 = 127, 448
_TINY = 1e-12  # a row of zeros has a scale, too
_CACHED = 1 << 20


class Matrix(nn.Module):
    """Weight [O, I] and bias [O]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply [..., I]."""
        return linear(x, self.weight, self.bias)


class _Scaled(nn.Module):
    """Weight [O, I] in 8 bits, with a scale for each output channel."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, exact: Matrix, top: float) -> None:
        super().__init__()
        weight = exact.weight.float()
        scale = _largest(weight) / top
        self.register_buffer("weight", self._rounded(weight / scale))
        self.register_buffer("scale", scale.squeeze(1))
        self.register_buffer("bias", exact.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply [..., I]."""
        if prod(x.shape[:-1]) <= FEW:
            weight = self.weight.to(x.dtype) * self.scale.to(x.dtype)[:, None]
            return linear(x, weight, self.bias.to(x.dtype))
        rows = x.flatten(0, -2)
        out = torch.empty(len(rows), len(self.weight), dtype=x.dtype, device=x.device)
        at_once = self._rows_at_once(rows)
        for part, made in zip(rows.split(at_once), out.split(at_once), strict=True):
            self._multiply(part, made)
        return out.unflatten(0, x.shape[:-1])

    def _rows_at_once(self, rows: Tensor) -> int:
        return len(rows)

    def _multiply(self, rows: Tensor, out: Tensor) -> None:
        raise NotImplementedError

    @staticmethod
    def _rounded(values: Tensor) -> Tensor:
        raise NotImplementedError


class Int8Matrix(_Scaled):
    """Whole numbers; tokens are rounded as they come, each with its own scale."""

    def __init__(self, exact: Matrix) -> None:
        super().__init__(exact, _TOP)

    def _rows_at_once(self, rows: Tensor) -> int:
        """On the CPU what stays in its cache; large weights are repacked at each call: fewer."""
        if rows.device.type != "cpu":
            return len(rows)
        return 256 if self.weight.numel() < _CACHED else 1024

    def _multiply(self, rows: Tensor, out: Tensor) -> None:
        scale = _largest(rows).float() / _TOP
        sums = torch._int_mm(self._rounded(rows / scale), self.weight.t())
        torch.addcmul(self.bias, sums.float().mul_(self.scale), scale, out=out)

    @staticmethod
    def _rounded(values: Tensor) -> Tensor:
        return values.round_().to(torch.int8)


class Fp8Matrix(_Scaled):
    """Floating point of 8 bits (4 of exponent); tokens are rounded as they come."""

    def __init__(self, exact: Matrix) -> None:
        super().__init__(exact, _TOP_FP8)

    def _multiply(self, rows: Tensor, out: Tensor) -> None:
        scale = _largest(rows).float() / _TOP_FP8
        product = torch._scaled_mm(
            self._rounded(rows / scale),
            self.weight.t(),
            scale_a=scale,
            scale_b=self.scale[None],
            out_dtype=torch.bfloat16,  # the only type that CUDA gives with scales by row
        )
        torch.add(product, self.bias, out=out)

    @staticmethod
    def _rounded(values: Tensor) -> Tensor:
        return values.to(torch.float8_e4m3fn)


class Int4Matrix(nn.Module):
    """Weights in 16 steps between the least and the largest of a group; it is unpacked to be used.

    With thousands of tokens that is a small part of the product, which is computed as ever: this
    saves memory, not time.
    """

    packed: Tensor
    step: Tensor
    low: Tensor
    bias: Tensor

    def __init__(self, exact: Matrix) -> None:
        super().__init__()
        weight = exact.weight
        size = gcd(weight.shape[1], GROUP)
        groups = weight.float().unflatten(1, (-1, size))
        low, high = groups.aminmax(dim=-1, keepdim=True)
        step = ((high - low) / 15).clamp_(min=_TINY)
        left, right = ((groups - low) / step).round_().to(torch.uint8).flatten(1).chunk(2, dim=1)
        self.register_buffer("packed", left | right << 4)
        self.register_buffer("step", step.to(weight.dtype))
        self.register_buffer("low", low.to(weight.dtype))
        self.register_buffer("bias", exact.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply [..., I]."""
        numbers = torch.cat([self.packed & 15, self.packed >> 4], dim=1)
        groups = numbers.unflatten(1, (self.low.shape[1], -1)).to(self.step.dtype)
        # Not addcmul: in bfloat16 that takes ten times as long on a CPU.
        weight = groups.mul_(self.step).add_(self.low).flatten(1)
        return linear(x, weight, self.bias)


_KINDS = {Quantize.INT8: Int8Matrix, Quantize.FP8: Fp8Matrix, Quantize.INT4: Int4Matrix}
AnyMatrix: TypeAlias = Matrix | Int8Matrix | Fp8Matrix | Int4Matrix


def quantize_(module: nn.Module, how: Quantize) -> None:
    """Replace all matrices in a module by such of fewer bits."""
    if how is Quantize.NONE:
        return
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Matrix):
                setattr(parent, name, _KINDS[how](child))


def _largest(rows: Tensor) -> Tensor:
    """The largest magnitude of each row, [N, 1]."""
    return rows.abs().amax(dim=-1, keepdim=True).clamp_(min=_TINY)
