"""Entries and records as a disk or a forger leaves them: right, or set aside by name."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.jobs import entries
from pipeline.store import damaged, entry, publish, records
from tests.helpers import toy_plan
from tests.helpers.toy_plan import ToyPlan
from tests.other_files import Variant

CONTENT, OTHER = b"what was made", b"what another"


def rewrite(home: Path, content: bytes) -> None:
    home.unlink()
    home.write_bytes(content)


def change(home: Path, share: float, lacking: int, more: bytes) -> None:
    """Let bytes be missing, or others be there instead."""
    whole = home.read_bytes()
    at = int(share * len(whole))
    spoilt = whole[:at] + more + whole[at + lacking :]
    rewrite(home, spoilt if spoilt != whole else whole + b"more")


def forge(home: Path) -> None:
    """A sound entry of this name, with other content."""
    scratch = home.parent / f"{entry.SCRATCH}forged"
    scratch.mkdir()
    toy_plan.write(scratch / home.name, OTHER)
    os.replace(scratch / home.name, home)
    scratch.rmdir()


def exchange(home: Path) -> None:
    """The entry of another scan."""
    other = home.with_name("b" + home.name[1:])
    toy_plan.place(other, OTHER)
    rewrite(home, other.read_bytes())


def put(home: Path, make: Callable[[Path], object]) -> None:
    home.unlink()
    make(home)


def sparse(home: Path) -> None:
    home.chmod(0o644)
    os.truncate(home, 1 << 40)


def record_of(home: Path) -> Path:
    return records.path_for(home, records.digest(home))


def link_records(home: Path) -> None:
    """Records that a link leads to, outside of the store."""
    folder = home.parent / records.FOLDER
    outside = home.parents[4] / "outside"
    folder.rename(outside)
    folder.symlink_to(outside)


SPOILT: dict[str, Callable[[Path], object]] = {
    "forged": forge,
    "exchanged": exchange,
    "a folder": partial(put, make=Path.mkdir),
    "a pipe": partial(put, make=os.mkfifo),
    "a link to itself": partial(put, make=lambda home: home.symlink_to(home)),
    "a link that never ends": partial(put, make=lambda home: home.symlink_to("/dev/zero")),
    "empty": partial(put, make=Path.touch),
    "a file with holes that claims a terabyte": sparse,
}
SOUND: dict[str, Callable[[Path], object]] = {
    "as made": lambda home: None,
    "copied": lambda home: rewrite(home, home.read_bytes()),
    "with a record of no sense": lambda home: rewrite(record_of(home), b"no json"),
    "with a record that is closed": lambda home: record_of(home).chmod(0),
    "with linked records": link_records,
    "with another's record": lambda home: shutil.copy(
        record_of(home), records.path_for(home, "0" * 64)
    ),
}


def use(plan: ToyPlan, home: Path) -> bytes:
    with (
        damaged.moving_aside(),
        publish.place(plan.home("score", "made")) as path,
        entries.sound([home]),
    ):
        toy_plan.write(path, CONTENT)
        return toy_plan.read(home)


def check(folder: Path, stage: str, spoil: Callable[[Path], object], sound: bool) -> None:
    """What is sound is read; all else is set aside by name, and made again."""
    plan = ToyPlan(folder)
    home = plan.home(stage, "a")
    toy_plan.place(home, CONTENT)
    spoil(home)
    if not sound:
        with pytest.raises(BadInput, match=r"it was moved to .*: run again") as told:
            use(plan, home)
        assert str(told.value).startswith(f"{home}: this entry "), told.value
        assert not os.path.lexists(home)
        toy_plan.place(home, CONTENT)
    assert use(plan, home) == CONTENT


STAGES = st.sampled_from(["numbers", "score"])
VARIANTS = st.one_of(
    st.builds(
        lambda stage, share, lacking, more: Variant(
            f"{stage} with {more!r} for {lacking} bytes at {share}",
            partial(
                check,
                stage=stage,
                spoil=partial(change, share=share, lacking=lacking, more=more),
                sound=False,
            ),
        ),
        STAGES,
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 9),
        st.binary(max_size=9),
    ),
    *(
        st.builds(
            lambda stage, what, sound=sound, named=named: Variant(
                f"{stage} {what}", partial(check, stage=stage, spoil=named[what], sound=sound)
            ),
            STAGES,
            st.sampled_from([*named]),
        )
        for sound, named in ((True, SOUND), (False, SPOILT))
    ),
)
