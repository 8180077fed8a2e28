"""Find what fits some words in a PLY file: python query_ply.py SCAN.ply NETWORK WORDS"""

import sys
from pathlib import Path

import numpy as np

from model import load
from pipeline.readers.ply import read_points

scan, network, words = sys.argv[1:]
net = load(network)
xyz, rgb, normal = read_points(Path(scan))

# The cosine of each point's embedding with that of the words; only differences mean something.
heat = net.query(xyz, rgb, words, normal)
best = heat >= np.quantile(heat, 0.99)
centre = xyz[best].mean(axis=0)
print(f"{words!r} fits best around x {centre[0]:.2f}, y {centre[1]:.2f}, z {centre[2]:.2f} m")

# Against other words it becomes an answer: the share of the points where these win.
others = ["a wall", "a floor", "furniture"]
every = net.query(xyz, rgb, [words, *others], normal)
print(
    f"rather than {', '.join(others)}: {100 * (every.argmax(axis=1) == 0).mean():.1f} % of points"
)
