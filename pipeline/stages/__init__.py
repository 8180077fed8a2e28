"""What is computed, one module a stage: raw scans -> pseudo-labels."""
