"""The exceptions that become one sentence on the command line."""

import os


class BadInput(Exception):
    """Input that a user can fix, as one sentence: the file, what is wrong, what to do."""

    def __init__(self, where: str | os.PathLike[str], what: str, remedy: str) -> None:
        super().__init__(os.fspath(where), what, remedy)  # all arguments, so that it can be pickled

    def __str__(self) -> str:
        where, what, remedy = self.args
        return f"{where}: {what}; {remedy}."


class Stopped(Exception):
    """Work that was stopped from outside, and goes on from where it is when it is tried again."""
