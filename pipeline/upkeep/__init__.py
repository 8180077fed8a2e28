"""Upkeep of a store that many share: what is in it, why an entry is absent, what may be removed."""
