"""Any CLIP of open_clip: its texts embedded, and its image tower read densely."""
