"""Entries -> training batches."""
