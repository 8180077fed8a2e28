"""The stages from stores to scores: what they are, and how they call the code that does the work.

These modules are imported to plan a run, so what needs torch is imported where it is used.
"""
