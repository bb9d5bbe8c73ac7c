"""A picture and what was made of it, as files were read: checked, or refused as no pair."""

from __future__ import annotations

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.fidelity.check import Check, check, fits
from dit4sr_cli.imaging.picture import Picture


def compare(before: Picture, after: Picture) -> Check:
    """Hold a result against its source.

    Raises:
        InputError: the sizes say that it is not made of this source.
    """
    require_pair(before, after)
    return check(before.pixels, after.pixels)


def require_pair(before: Picture, after: Picture) -> None:
    """Refuse what cannot be a source and its result.

    Raises:
        InputError: the sizes say so.
    """
    small, large = (before.width, before.height), (after.width, after.height)
    if fits(small, large):
        return
    hint = "a result has the shape of its source, and is not smaller"
    if fits(large, small):
        hint = "the source comes first, then the result"
    elif fits(small, large[::-1]):
        hint = "one of them is turned"
    sizes = f"{before.width}x{before.height} and {after.width}x{after.height} pixels"
    raise InputError(f"{before.name} and {after.name} are not the same picture: {sizes}", hint=hint)
