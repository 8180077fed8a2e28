"""Pages about finished runs: one HTML file each, which needs no other."""
