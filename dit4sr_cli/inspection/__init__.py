"""A look inside a model while it works on a photograph."""
