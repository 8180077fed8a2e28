"""The demo's small CLIP: its image-text pairs, its training, and its scores."""
