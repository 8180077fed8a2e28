"""Codecs of targets other than `fp16`: each module here fuses as that one does, and then encodes.

So a scan's features are in the entry as fp16 until all of them are known. Each has a `Worker` and
is in the key of targets only where the config names it. `pipeline.grids.fused` reads them all.
"""
