"""Geometry of tiles and how they are blended."""
