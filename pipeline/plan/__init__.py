"""Which entries a run needs: the config, the graph of stages, their keys, the scans."""
