"""The upkeep of a store that many share: what it holds, why an entry is absent, and what may go."""
