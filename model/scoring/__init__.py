"""Labels beside ground truth: counts, and scores by protocol."""
