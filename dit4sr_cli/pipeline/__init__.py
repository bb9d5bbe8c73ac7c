"""Tensors and strings in, tensors out: assembles model, tiles and weights."""
