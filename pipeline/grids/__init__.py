"""Grids of embeddings as the store keeps them: their forms, and how they are read at any pixel."""
