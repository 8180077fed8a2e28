"""Entries of the store: how they are written, published, leased, checked and read."""
