"""The one way in which bad input is reported."""

import os


class BadInput(Exception):
    """Input that a user can mend, in one sentence: the file, what is wrong, what to do."""

    def __init__(self, where: str | os.PathLike[str], what: str, remedy: str) -> None:
        super().__init__(os.fspath(where), what, remedy)  # whole, so that it can cross processes

    def __str__(self) -> str:
        where, what, remedy = self.args
        return f"{where}: {what}; {remedy}."
