"""What a user looks at before a run: a few frames of the own raw scans, and nothing in the store.

It uses the stages as a run would, and writes below `results/<dataset>/look/`.
"""
