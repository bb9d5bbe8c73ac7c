"""Image to prompt text."""
