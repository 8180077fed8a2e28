"""Any folder of RGB-D frames: raw readers, one small module per layout."""
