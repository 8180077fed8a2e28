"""ScanNet v2: raw readers, one small module per kind of file."""
