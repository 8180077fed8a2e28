"""The one way in which bad input is reported."""

from os import PathLike


class BadInput(Exception):
    """Input that a user can mend, in one sentence: the file, what is wrong, what to do."""

    def __init__(self, where: str | PathLike[str], what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}; {remedy}.")
