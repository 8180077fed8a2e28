"""A page in which a scan is looked at, with what networks say of it, and asked in words."""
