"""Read an entry of the store: python read_entry.py work/demo/targets/KEY/SCAN.zarr.zip"""

import sys
from pathlib import Path

import numpy as np

from model.data.entries import read_entry
from pipeline.grids.fused import FusedRows

# An entry is a zip file of zarr arrays that never changes; `work/` has links to the store's.
entry = read_entry(Path(sys.argv[1]))
for name, array in sorted(entry.arrays()):
    print(f"{name}: {array.shape} {array.dtype}")
print(f"attributes: {dict(entry.attrs)}")

# Arrays are read whole or by rows. Here the fused embeddings of the voxels that a frame sees: their
# length, from 0 to 1, tells how far the views agree.
if "views" in entry:
    feature = FusedRows(entry)[:100_000].astype(np.float32)
    print(f"mean agreement of views: {np.linalg.norm(feature, axis=1).mean():.2f}")
