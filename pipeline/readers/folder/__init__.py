"""Any folder of RGB-D frames: raw reader, one small module per layout."""
