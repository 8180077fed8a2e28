"""Trains networks: by pseudo-labels and fused embeddings, or by dense labels to compare."""
