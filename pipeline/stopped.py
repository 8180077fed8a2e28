"""The exception by which work ends early because its machine is wanted."""


class Stopped(Exception):
    """Work that was stopped from outside, and goes on from where it is when it is tried again."""
