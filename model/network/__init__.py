"""The sparse 3D network, its adapter, and the file of both."""
