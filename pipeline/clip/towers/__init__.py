"""Image towers. Each module here is a family, found by `pipeline.clip.families`.

One of open_clip has `view(visual)`: what `pipeline.clip.tower` describes for an image tower of that
family, or in a few words why the tower cannot be read densely. Another has `skeleton(model)` and
`load(model)`, which do what those of `pipeline.clip.image_tower` do.
"""
