"""Measuring: settings, paths and other programs side by side, in turn; it prints nothing."""
