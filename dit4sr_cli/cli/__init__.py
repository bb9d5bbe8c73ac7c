"""Words in, words out: knows Typer and rich, nothing of tensors."""
