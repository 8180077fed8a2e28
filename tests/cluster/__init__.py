"""Runs on a cluster of one node, which these scripts make; as root, with Debian's `slurm-wlm`."""
