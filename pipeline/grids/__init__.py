"""Grids of embeddings as the store keeps them: their codecs, and how they are read at any pixel."""
