"""spconv, set up for machines with and without a GPU."""

import logging
import warnings

import torch

if not torch.cuda.is_available():
    # spconv lists the kernels of a GPU when it is imported, which takes longer than all the rest.
    from spconv import core

    core.ALL_NATIVE_PARAMS.clear()
    core.ALL_IMPGEMM_PARAMS.clear()

with warnings.catch_warnings():  # spconv uses torch.cuda.amp, which is deprecated
    warnings.simplefilter("ignore", FutureWarning)
    import spconv.pytorch as spconv
    import spconv.pytorch.ops as spconv_ops
    from spconv.core import ConvAlgo

# Importing spconv makes torch log a warning about its own tracing.
logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)

# The network halves the grid four times, and spconv drops the last plane of an odd grid: so the
# size of a grid must be a multiple of 2**4.
_GRID_MULTIPLE = 16

# spconv has only this algorithm on the CPU. `None` lets spconv choose on a GPU.
ALGORITHM = None if torch.cuda.is_available() else ConvAlgo.Native


def _no_stream() -> int:
    """The null CUDA stream."""
    return 0


if not torch.cuda.is_available():
    # The backward pass gets the current CUDA stream before it checks the device, and does not use
    # it on a CPU. Without CUDA getting it fails, so it is replaced.
    spconv_ops.get_current_stream = _no_stream


def sparse_tensor(features: torch.Tensor, indices: torch.Tensor) -> spconv.SparseConvTensor:
    """Features (M, C) at indices (M, 4) int32 [scan, x, y, z] as spconv's sparse tensor.

    Raises `ValueError` for an empty batch or a negative coordinate: both crash spconv.
    """
    if len(indices) == 0:
        raise ValueError("a sparse tensor needs at least one voxel")
    if int(indices.min()) < 0:
        raise ValueError("voxel coordinates must not be negative")
    last = indices.amax(dim=0).tolist()
    grid = [-(-(size + 1) // _GRID_MULTIPLE) * _GRID_MULTIPLE for size in last[1:]]
    return spconv.SparseConvTensor(features, indices, grid, last[0] + 1)
