"""Scores and summaries as tables."""
