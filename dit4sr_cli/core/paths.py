"""Where dit4sr keeps things; `DIT4SR_HOME` moves them all to one folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "dit4sr"


def models_dir() -> Path:
    """Weights fetched or put there by the user, one folder a model."""
    home = os.environ.get("DIT4SR_HOME")
    return Path(home) / "models" if home else Path(platformdirs.user_cache_dir(_APP)) / "models"


def config_dir() -> Path:
    """User settings."""
    home = os.environ.get("DIT4SR_HOME")
    return Path(home) / "config" if home else Path(platformdirs.user_config_dir(_APP))


def cache_dir() -> Path:
    """What can be made again: embeddings of prompts, captions."""
    home = os.environ.get("DIT4SR_HOME")
    return Path(home) / "cache" if home else Path(platformdirs.user_cache_dir(_APP)) / "cache"
