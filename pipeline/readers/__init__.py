"""Raw files -> `Scan`: a package for each way in which scans lie on disk."""


def module_name(reader: str, group: str) -> str:
    """The module that reads a group of raw files: files, frames, cloud or labels."""
    return f"pipeline.readers.{reader}.{group}"
