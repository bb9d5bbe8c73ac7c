"""Sharp photographs to LR ones: Real-ESRGAN's second-order degradation with SeeSR's settings."""

from dit4sr_cli.training.degrade.once import degrade_lightly, degrade_once
from dit4sr_cli.training.degrade.passes import degrade
from dit4sr_cli.training.degrade.pictures import from_pil, to_pil
from dit4sr_cli.training.degrade.table import SCALE

__all__ = ["SCALE", "degrade", "degrade_lightly", "degrade_once", "from_pil", "to_pil"]
