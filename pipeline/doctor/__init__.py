"""What raw data looks like before anything long is run: what is missing, odd or misread, in words.

Poses, units and cameras are judged by whether the images agree: with one another, and with the
scan's points where these do not come from the images themselves. Nothing in the pipeline imports
this, and nothing is left in the store.
"""
