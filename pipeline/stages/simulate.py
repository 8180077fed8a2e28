"""Stage simulate: rooms made from seeds, written as the raw files of a dataset.

They are each user's own and are not shared, so they are no entries of the store.
"""

from pipeline.facts import Facts
from pipeline.stages.declaration import Stage


class SimulateStage(Stage):
    """Simulated rooms, written as the raw files of a dataset."""

    stored = False
    suffix = "done"  # the mark that all files of a scan are there
    memory_mb, minutes = 4000, 10

    def active(self, facts: Facts) -> bool:
        """Only for datasets that the config has simulated."""
        return facts.simulated

    def module(self, facts: Facts) -> str:
        """The simulator that writes the files of the dataset's reader."""
        assert facts.simulator, "the config was checked"
        return facts.simulator
