"""Raw files -> `Scan`: a package for each way in which scans lie on disk."""
