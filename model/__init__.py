"""Stores -> trained 3D network -> scores."""
