"""The remotes that a config describes, and why each is believed."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import BadInput

SCHEMES = ("https", "http", "s3", "gs")
_HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Remote:
    """A cache to take entries from and to give them to."""

    url: str
    public_key: bytes | None = None  # 32 bytes, which signed its records; None: it is trusted
    endpoint: str | None = None  # of a server that speaks S3
    region: str | None = None
    anonymous: bool = False  # requests are not signed: a public bucket

    @property
    def scheme(self) -> str:
        """One of `SCHEMES`, or "" for a folder."""
        return urlsplit(self.url).scheme if "://" in self.url else ""

    @property
    def can_be_given_to(self) -> bool:
        """Whether anything can be put there: a web server only shows what it has."""
        return self.scheme not in ("http", "https")


def remotes(config: Mapping[str, Any]) -> list[Remote]:
    """The remotes of a config, in its order. Raises `BadInput` for one that must not be used."""
    return [_remote(described) for described in config.get("remotes", ())]


def _remote(described: Mapping[str, Any]) -> Remote:
    where, url = f"remotes: {described['url']}", described["url"]
    key = described.get("public_key")
    if key is None and not described.get("trusted"):
        what = "has neither `public_key:` nor `trusted: true`"
        remedy = "give the key that signs its records, or trust whoever can write there"
        raise BadInput(where, what, remedy)
    remote = Remote(
        url=url if "://" in url else os.path.expanduser(url),
        public_key=None if key is None else public_key(key, where),
        endpoint=described.get("endpoint"),
        region=described.get("region"),
        anonymous=bool(described.get("anonymous")),
    )
    if remote.scheme not in ("", *SCHEMES):
        what = f"{remote.scheme}:// is no kind of remote"
        raise BadInput(where, what, "name a folder, or a URL of https://, s3:// or gs://")
    parts = urlsplit(url)
    if remote.scheme and (parts.query or parts.fragment or not parts.netloc):
        raise BadInput(where, "is no URL of a folder", "write it without ? and #, with a server")
    if remote.scheme == "http" and key is None and parts.hostname not in _HERE:
        what = "is trusted, but what comes over http:// can be altered on its way"
        raise BadInput(where, what, "use https://, or a `public_key:`")
    return remote


def public_key(text: str, where: str | Path) -> bytes:
    """The 32 bytes of a public key in base64. Raises `BadInput`."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != 32 or not re.fullmatch(r"[A-Za-z0-9+/]{43}=", text):
        what = "has a `public_key:` that is none"
        raise BadInput(where, what, "copy the line that `python -m pipeline store key` prints")
    return found
