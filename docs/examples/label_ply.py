"""Label the points of a PLY file: python label_ply.py SCAN.ply NETWORK OUT.ply"""

import sys
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement

from model import load
from pipeline.readers.ply import read_points

scan, network, out = sys.argv[1:]
net = load(network)  # a .safetensors file, a release folder, or owner/name of the hub
xyz, rgb, normal = read_points(Path(scan))  # metres with z up; normals may be unknown (None)
labels = net.label(xyz, rgb, normal)

# How many points are of which class, and how sure the network is of them.
for number, name in enumerate(labels.classes):
    mine = labels.ids == number
    if mine.any():
        print(f"{name}: {mine.sum():,} points, confidence {labels.confidence[mine].mean():.2f}")

# The classes as colours, in a file that any viewer opens.
columns = [*xyz.T, *net.colors[labels.ids].T, labels.ids]
names = ["x", "y", "z", "red", "green", "blue", "label"]
table = np.rec.fromarrays(columns, names=names)
PlyData([PlyElement.describe(table, "vertex")]).write(out)
