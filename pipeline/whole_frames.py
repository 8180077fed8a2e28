"""The frames of a recording without those that are damaged."""

import warnings
from collections.abc import Iterator, Sequence

from pipeline.errors import BadInput
from pipeline.images import check_image
from pipeline.scan import Frame, RawFrames


def whole_frames(raw: RawFrames, frame_ids: Sequence[int]) -> Iterator[Frame]:
    """Each of the frames, with a complete colour image and depth of the recording's size.

    A damaged frame raises `BadInput`, since released datasets can be downloaded again. If `raw`
    says `leaves_out_damaged`, it is left out, with a warning, unless most frames are damaged.
    """
    faults: list[BadInput] = []
    for frame_id in frame_ids:
        try:
            frame = raw.read(frame_id)
            _check(raw, frame)
        except BadInput as error:
            faults.append(error)
            if not getattr(raw, "leaves_out_damaged", False):
                raise
            if len(faults) > len(frame_ids) / 2:
                raise _most(faults, len(frame_ids)) from None
            where, what, _ = error.args
            warnings.warn(f"{where}: {what}; this frame is left out.", stacklevel=2)
            continue
        yield frame


def _check(raw: RawFrames, frame: Frame) -> None:
    where = f"frame {frame.frame_id}"
    check_image(frame.color, raw.color_size, where)
    width, height = raw.depth_size
    if frame.depth.shape != (height, width):
        what = f"has depth of {frame.depth.shape[::-1]} pixels instead of {raw.depth_size}"
        raise BadInput(where, what, "download or export the scan again")


def _most(faults: Sequence[BadInput], count: int) -> BadInput:
    where, what, _ = faults[0].args
    rest = f", and {len(faults) - 1} more of {count} frames are damaged" if len(faults) > 1 else ""
    return BadInput(where, f"{what}{rest}", "export the recording again, or leave it out")
