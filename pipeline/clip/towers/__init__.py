"""Image towers of open_clip. Each module here is a family, found by `pipeline.clip.families`.

It has `view(visual)`: what `pipeline.clip.tower` describes for an image tower of that family, or in
a few words why the tower cannot be read densely.
"""
