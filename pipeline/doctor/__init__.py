"""Checks of raw scans before a long run: what is missing, unusual or misread, in words.

Poses, units and cameras are judged by whether the images agree: with one another, and with the
scan's points where these do not come from the images themselves. Nothing in the pipeline imports
this package, and it writes nothing into the store.
"""
