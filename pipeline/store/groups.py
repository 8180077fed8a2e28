"""A zarr group as one file: packed into a zip when it is written, opened lazily to be read."""

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.store import entry

if TYPE_CHECKING:  # planning must not pay for the import of zarr
    import zarr


@contextmanager
def create(path: Path, attributes: dict[str, Any] | None = None) -> Iterator["zarr.Group"]:
    """Yield a zarr group to fill; it is then packed into the file `path`.

    Equal content gives equal bytes.
    """
    import zarr
    from zarr.core.sync import sync

    from pipeline.store.zarr_stores import Tree

    with tempfile.TemporaryDirectory(dir=path.parent) as tree:
        try:
            yield zarr.create_group(Tree(tree), attributes=attributes or {})
        except BaseException:
            sync(_wait_for_writers())
            raise
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:
            for part in sorted(p for p in Path(tree).rglob("*") if p.is_file()):
                item = zipfile.ZipInfo(part.relative_to(tree).as_posix())
                with part.open("rb") as source, pack.open(item, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
            pack.comment = entry.seal(path, pack)


def read(path: Path) -> "zarr.Group":
    """Open an entry for reading, lazily: nothing but the listing is read here.

    Open it in the process that reads it: a handle that crosses a fork gives wrong data. Raises
    `BadInput` where the file is not the entry that its place says; an array raises it where what
    is read of it is damaged.
    """
    import zarr

    from pipeline.store.zarr_stores import Pack

    entry.check(path)
    return zarr.open_group(Pack(path, mode="r"), mode="r", zarr_format=3, use_consolidated=False)


async def _wait_for_writers() -> None:
    """Wait for the other chunks that zarr writes when one has failed.

    They go on, and would make their folder again if it were removed before they end.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
