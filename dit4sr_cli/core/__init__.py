"""Vocabulary of the package: errors, settings, types, events and folders."""
