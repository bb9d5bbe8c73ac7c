"""Photographs to training pairs, their captions, latents and embeddings; and the reader of all."""
