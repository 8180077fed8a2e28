"""A store compared with a dict: it returns what was put in, or reports why not."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.errors import BadInput
from pipeline.jobs import entries
from pipeline.store import damaged, entry, links, records
from tests.helpers import toy_plan
from tests.helpers.full_disk import full_disk
from tests.helpers.toy_plan import ToyPlan

Entry = tuple[str, str]  # stage and name
ENTRIES = [(stage, name) for stage in toy_plan.SUFFIX for name in "ab"]
an_entry = st.sampled_from(ENTRIES)
some_bytes = st.binary(min_size=1, max_size=12)
a_share = st.floats(0, 1, exclude_max=True)


class Downstream(ToyPlan):
    """A plan in which every entry is the input of a job."""

    def inputs(self, stage: str, name: str) -> list[Entry]:
        return [(stage, name)]


class Store(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.plan = Downstream(Path(self.folder.name))
        self.model: dict[Entry, bytes] = {}  # what was put in and not removed
        self.touched: set[Entry] = set()  # entries that were tampered with

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def home(self, which: Entry) -> Path:
        return self.plan.home(*which)

    def put_in(self, which: Entry, content: bytes) -> None:
        self.model[which] = content
        self.touched.discard(which)

    def gone(self, which: Entry) -> None:
        assert not entry.present(self.home(which))
        self.model.pop(which, None)
        self.touched.discard(which)

    @rule(which=an_entry, content=some_bytes, full_at=st.integers(1, 30) | st.just(1000))
    def place(self, which: Entry, content: bytes, full_at: int) -> None:
        """With space for some writes; an entry that is present already is not harmed."""
        was_present, full = entry.present(self.home(which)), False
        with full_disk(self.plan.folder, full_at):
            try:
                toy_plan.place(self.home(which), content)
            except BadInput:
                full = True
        assert entry.present(self.home(which)) == (was_present or not full)
        if not was_present:
            self.gone(which) if full else self.put_in(which, content)

    @rule(which=an_entry)
    def be_killed(self, which: Entry) -> None:
        scratch = self.home(which).parent / f"{entry.SCRATCH}x"
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / self.home(which).name).write_bytes(b"half")

    @rule(which=an_entry)
    def remove(self, which: Entry) -> None:
        home = self.home(which)
        if home.is_dir() and not home.is_symlink():
            shutil.rmtree(home)
        else:
            home.unlink(missing_ok=True)
        self.gone(which)

    @rule(which=an_entry)
    def move_aside(self, which: Entry) -> None:
        if os.path.lexists(self.home(which)):
            aside = damaged.move_aside(self.home(which))
            assert os.path.lexists(aside)
            self.gone(which)

    def tamper(self, which: Entry, content: bytes) -> None:
        home = self.home(which)
        if content != home.read_bytes():
            home.chmod(0o644)
            home.write_bytes(content)
            self.touched.add(which)

    def whole(self, which: Entry) -> bytes | None:
        return self.home(which).read_bytes() if entry.present(self.home(which)) else None

    @rule(which=an_entry, share=a_share, bit=st.integers(0, 7))
    def flip_a_bit(self, which: Entry, share: float, bit: int) -> None:
        if content := self.whole(which):
            at = int(share * len(content))
            flipped = bytes([content[at] ^ 1 << bit])
            self.tamper(which, content[:at] + flipped + content[at + 1 :])

    @rule(which=an_entry, share=a_share, zeros=st.booleans())
    def cut(self, which: Entry, share: float, zeros: bool) -> None:
        if content := self.whole(which):
            kept = content[: int(share * len(content))]
            self.tamper(which, kept.ljust(len(content), b"\0") if zeros else kept)

    @rule(which=an_entry, other=an_entry)
    def give_the_bytes_of_another(self, which: Entry, other: Entry) -> None:
        if self.whole(which) and (content := self.whole(other)):
            self.tamper(which, content)

    @rule(which=an_entry, other=an_entry, folder=st.booleans())
    def put_no_file_there(self, which: Entry, other: Entry, folder: bool) -> None:
        self.remove(which)
        self.home(which).parent.mkdir(parents=True, exist_ok=True)
        if folder:
            self.home(which).mkdir()
        else:
            self.home(which).symlink_to(self.home(other))

    @rule(which=an_entry)
    def read(self, which: Entry) -> None:
        """As a job does that has it as its input."""
        home = self.home(which)
        sound = which in self.model and which not in self.touched
        try:
            homes = [self.plan.home(*source) for source in self.plan.inputs(*which)]
            with damaged.moving_aside(), entries.sound(homes):
                content, refused = toy_plan.read(home), ""
        except BadInput as error:
            refused = str(error)
        if sound or not refused:
            assert not refused
            assert content == self.model[which]
        else:
            assert refused.startswith(f"{home}: this entry ")
            assert not os.path.lexists(home), "what was refused stayed"
            self.gone(which)

    @rule()
    def adopt(self) -> None:
        planned = {which: self.plan.link(*which) for which in ENTRIES}
        links.adopt([(link, self.home(which)) for which, link in planned.items()])
        for which, link in planned.items():
            assert link.is_symlink() == entry.present(self.home(which))
            assert not link.is_symlink() or os.readlink(link) == str(self.home(which))

    @precondition(lambda self: hasattr(self, "plan"))
    @invariant()
    def what_was_not_tampered_with_is_as_it_was_made(self) -> None:
        for which in self.model.keys() - self.touched:
            entry.check_bytes(self.home(which))
            records.check(self.home(which))
            assert self.home(which).stat().st_mode & 0o222 == 0


def test_a_store_behaves_like_a_dict() -> None:
    run_state_machine_as_test(Store, settings=settings(max_examples=40, stateful_step_count=25))
