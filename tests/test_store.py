"""An entry is absent or whole, the first maker wins, and links agree with the store."""

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import BadInput
from pipeline.store import arrays, filesystem, groups, links, publish, records
from tests.helpers import toy_plan

ROOT = Path(__file__).parent.parent


def make(home: Path, data: np.ndarray) -> int:
    with publish.place(home) as path, groups.create(path) as out:
        arrays.write(out, "x", data)
    return home.stat().st_ino


def test_an_entry_is_read_only_and_has_no_time(tmp_path: Path) -> None:
    home = tmp_path / "key" / "scan@1.zarr.zip"
    make(home, np.arange(9))
    assert stat.S_IMODE(home.stat().st_mode) == 0o444
    assert home.stat().st_mtime == filesystem.NO_TIME[1]
    assert sorted(os.listdir(home.parent)) == [".records", home.name], "scratch was left behind"


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, other = (tmp_path / name / "stage" / "key" / "e.zarr.zip" for name in "ab")
    make(one, np.arange(1000))
    make(other, np.arange(1000))
    assert one.read_bytes() == other.read_bytes()


@settings(max_examples=30)
@given(
    hnp.arrays(
        st.sampled_from(["i2", "i4", "i8", "u1", "u2", "f2", "f4", "f8", "?"]).map(np.dtype),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7),
    ),
    st.integers(1, 9),
    st.booleans(),
)
def test_what_is_written_is_read(data: np.ndarray, chunk: int, compress: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "e.zarr.zip")
        with publish.place(home) as path, groups.create(path, {"k": 1}) as out:
            arrays.write(out, "x", data, chunk, compress)
        back = groups.read(home)
        assert back.attrs["k"] == 1
        array = toy_plan.read_array(home)
        np.testing.assert_array_equal(array, data)
        assert array.dtype == data.dtype


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "key" / "e.zarr.zip"

    def fail() -> None:
        with publish.place(home) as path, groups.create(path) as out:
            arrays.write(out, "x", np.arange(3))
            raise KeyError("a stage failed")

    with pytest.raises(KeyError):
        fail()
    assert os.listdir(home.parent) == []


MAKE = """
import sys, numpy as np
from pathlib import Path
from pipeline.store import arrays, groups, publish
print("ready", flush=True)
with publish.place(Path(sys.argv[1])) as path, groups.create(path) as out:
    arrays.write(out, "x", np.arange(3_000_000).reshape(300, -1), chunk=1)
"""


def test_killed_at_any_moment_an_entry_is_absent_or_whole(tmp_path: Path) -> None:
    home = tmp_path / "key" / "e.zarr.zip"
    absent = whole = 0
    wait = 0.0
    while wait < 20:  # ever later, until both have occurred
        maker = subprocess.Popen(
            [sys.executable, "-c", MAKE, str(home)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert maker.stdout
        maker.stdout.readline()
        time.sleep(wait)
        maker.send_signal(signal.SIGKILL)
        maker.communicate()
        if home.exists():
            assert zipfile.ZipFile(home).testzip() is None
            assert toy_plan.read_array(home)[-1, -1] == 2_999_999
            home.unlink()
            whole += 1
            if whole == 2:
                break
        else:
            absent += 1
        wait = wait * 1.5 + 0.01
    assert absent
    assert whole


def make_number(task: tuple[Path, int]) -> int:
    return make(task[0], np.arange(100) + task[1])


def test_of_many_makers_one_wins_and_all_get_its_entry(tmp_path: Path) -> None:
    home = tmp_path / "key" / "e.zarr.zip"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        inodes = pool.map(make_number, [(home, number) for number in range(12)])
    assert len(set(inodes)) == 1
    assert sorted(os.listdir(home.parent)) == [".records", home.name]
    assert records.digest(home) in records.digests_by_entry(home.parent)[home.name]


def test_adopt_links_present_entries_and_removes_links_to_absent_ones(tmp_path: Path) -> None:
    here, gone, other = (tmp_path / "store" / n for n in ("here", "gone", "other"))
    for entry in (here, other):
        make(entry, np.arange(3))
    absent, dangling, wrong = (tmp_path / "work" / n for n in ("a", "b", "c"))
    links.point(dangling, gone)
    links.point(wrong, other)
    links.adopt([(absent, here), (dangling, gone), (wrong, here)])
    assert os.readlink(absent) == str(here)
    assert not dangling.is_symlink()
    assert os.readlink(wrong) == str(here)
    assert absent.lstat().st_mtime == filesystem.NO_TIME[1]


def test_a_file_that_is_no_entry_is_named_in_the_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr.zip"
    broken.write_bytes(b"PK not a zip")
    with pytest.raises(BadInput, match=r"broken\.zarr\.zip"):
        groups.read(broken)
