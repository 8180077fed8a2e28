"""Records as they travel: a line of a listing is a signature, a blank and JSON."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.remotes import keys

UNSIGNED = "-"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Record:
    """What is said of an entry, or of the raw files of a scan."""

    path: str  # <dataset>/<stage>/<key>/<file>, or <dataset>/raw/<scan>
    sha256: str = ""  # of the bytes of the entry
    bytes: int = 0
    seconds: float = 0.0  # that making it took
    groups: Mapping[str, str] | None = None  # of raw files -> SHA-256


@dataclass(frozen=True)
class Line:
    """A record, of which it is not known yet who said it."""

    record: Record
    text: bytes
    signature: bytes

    def is_signed(self, key: bytes) -> bool:
        """Whether the owner of a public key said it."""
        return keys.is_signed(key, self.text, self.signature)


def encode(record: Record, private: Ed25519PrivateKey | None) -> bytes:
    """The line of a record, signed if there is a key to do it with."""
    said: dict[str, Any] = {"path": record.path}
    if record.groups is None:
        said |= {"sha256": record.sha256, "bytes": record.bytes, "seconds": record.seconds}
    else:
        said["groups"] = dict(record.groups)
    text = json.dumps(said, sort_keys=True).encode()
    signature = keys.sign(private, text) if private else UNSIGNED
    return signature.encode() + b" " + text + b"\n"


def decode(line: bytes) -> Line | None:
    """Read a line; None where it is none."""
    signature, _, text = line.partition(b" ")
    try:
        record = _record(json.loads(text))
    except _MALFORMED:
        return None
    return Line(record, text, signature) if record else None


def _record(said: Mapping[str, Any]) -> Record | None:
    path = said["path"]
    if not isinstance(path, str):
        return None
    if "groups" in said:
        groups = dict(said["groups"])
        sound = all(isinstance(group, str) and _SHA256.fullmatch(groups[group]) for group in groups)
        return Record(path, groups=groups) if sound and groups else None
    size, seconds = said["bytes"], float(said["seconds"])
    if type(size) is not int or not (0 <= size < 1 << 53 and 0 <= seconds < math.inf):
        return None
    if not _SHA256.fullmatch(said["sha256"]):
        return None
    return Record(path, said["sha256"], size, seconds)
