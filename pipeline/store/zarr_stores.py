"""Where zarr writes the parts of an entry, and where it reads them."""

import json
import math
import struct
import zipfile

import numpy as np
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, ZipStore

from pipeline.errors import BadInput
from pipeline.store import entry

_BLOSC_HEADER = struct.Struct("<4B3I")  # of c-blosc, README_CHUNK_FORMAT


class Tree(LocalStore):
    """A folder that one process fills. Zarr itself needs hard links to make a file just once."""

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a part unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)


class Pack(ZipStore):
    """The zip of an entry. What is read of it raises `BadInput`, which names it, if damaged.

    A chunk that claims another size than its array's metadata is refused before it is unpacked.
    """

    def _get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        try:
            found = super()._get(key, prototype, byte_range)
        except (zipfile.BadZipFile, EOFError, struct.error) as error:
            self._blame(error)
            raise
        except OSError as error:  # such as a position before the start of the file
            self._blame(error)
            what = f"cannot be read ({error.strerror})"
            raise BadInput(self.path, what, "fix the cause and retry") from error
        if found is not None and byte_range is None and "/c/" in key:
            self._check_size(key, found)
        return found

    def _blame(self, error: Exception) -> None:
        """Raise `Damaged` if it is: a handle that crossed a fork gives the same errors."""
        try:
            entry.check_bytes(self.path)
        except BadInput as fault:
            raise fault from error

    def _check_size(self, key: str, found: Buffer) -> None:
        name = key.partition("/c/")[0]
        about = json.loads(self._zf.read(f"{name}/zarr.json"))
        chunk = about["chunk_grid"]["configuration"]["chunk_shape"]
        expected = math.prod(chunk) * np.dtype(about["data_type"]).itemsize
        stated, packed = len(found), len(found)
        if len(about["codecs"]) > 1:
            header = found[: _BLOSC_HEADER.size].to_bytes().ljust(_BLOSC_HEADER.size, b"\0")
            stated, _, packed = _BLOSC_HEADER.unpack(header)[4:]
        if (stated, packed) != (expected, len(found)):
            what = f"has a chunk {key!r} that claims {stated} bytes instead of {expected}"
            raise entry.Damaged(self.path, what)
