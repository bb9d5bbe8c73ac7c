"""The texts that the released weights were tuned with, and how a caption becomes a prompt."""

from __future__ import annotations

QUALITY_SUFFIX = (
    "Cinematic, hyper sharpness, highly detailed, perfect without deformations, camera, hyper"
    " detailed photo - realistic maximum detail, 32k, Color Grading, ultra HD, extreme meticulous"
    " detailing, skin pore detailing. "
)
NEGATIVE_PROMPT = (
    "motion blur, noisy, dotted, bokeh, pointed, CG Style, 3D render, unreal engine, blurring,"
    " dirty, messy, worst quality, low quality, frames, watermark, signature, jpeg artifacts,"
    " deformed, lowres, chaotic"
)


def compose(caption: str, suffix: str | None = None) -> str:
    """The final prompt: what is in the picture, then how it should look.

    Args:
        caption: what is in the picture; may be empty.
        suffix: how it should look; None: the words that the released weights were tuned with.
    """
    suffix = QUALITY_SUFFIX if suffix is None else suffix
    return f"{caption} {suffix}" if caption and suffix else caption or suffix
