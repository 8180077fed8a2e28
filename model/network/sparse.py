"""What spconv needs before it can run, on a machine with a GPU or without one."""

import logging
import warnings

import torch

with warnings.catch_warnings():  # that spconv still says torch.cuda.amp helps no user
    warnings.simplefilter("ignore", FutureWarning)
    import spconv.pytorch as spconv
    import spconv.pytorch.ops as spconv_ops
    from spconv.core import ConvAlgo

# spconv asks torch a question that torch answers with a warning about its own tracing.
logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)

# Each of the four down-samplings of the network halves the grid; spconv drops the last plane of
# an odd grid, so the grid handed in must be a multiple of 2**4.
_GRID_MULTIPLE = 16

# spconv has only this algorithm on the CPU. `None` lets spconv choose on a GPU.
ALGORITHM = None if torch.cuda.is_available() else ConvAlgo.Native


def _no_stream() -> int:
    """The null CUDA stream."""
    return 0


if not torch.cuda.is_available():
    # The backward pass asks for the current CUDA stream before it looks at the device, and the
    # CPU branch then never uses it. Without CUDA the question itself fails, so answer it here.
    spconv_ops.get_current_stream = _no_stream


def sparse_tensor(features: torch.Tensor, indices: torch.Tensor) -> spconv.SparseConvTensor:
    """Features (M, C) at indices (M, 4) int32 [scan, x, y, z] as spconv's sparse tensor.

    Raises `ValueError` for an empty batch or a negative coordinate: spconv would crash on either.
    """
    if len(indices) == 0:
        raise ValueError("a sparse tensor needs at least one voxel")
    if int(indices.min()) < 0:
        raise ValueError("voxel coordinates must not be negative")
    last = indices.amax(dim=0).tolist()
    grid = [-(-(size + 1) // _GRID_MULTIPLE) * _GRID_MULTIPLE for size in last[1:]]
    return spconv.SparseConvTensor(features, indices, grid, last[0] + 1)
