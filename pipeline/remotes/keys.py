"""Ed25519 keys: a private one signs records, and the public one of it tells whose they are."""

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import BadInput

_LARGEST = 1 << 16  # bytes of a file with a key
_MEANT = b"vlg3d record 1\n"  # a signature of something else is not one of a record


def make(path: Path) -> str:
    """Write a new private key, which only its owner can read; the public key of it, in base64.

    Raises `BadInput` where something is there, or it cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    content = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(content)
    except FileExistsError:
        raise BadInput(path, "is there already", "name another file") from None
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise BadInput(path, what, "name another file") from error
    return shown(private)


def load(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises `BadInput`."""
    try:
        with path.open("rb") as file:
            private = serialization.load_pem_private_key(file.read(_LARGEST), password=None)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise BadInput(path, what, "make one with `python -m pipeline store key`") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        what = "is no private key without a password"
        raise BadInput(path, what, "make one with `python -m pipeline store key`")
    return private


def public(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public key."""
    return private.public_key().public_bytes_raw()


def shown(private: Ed25519PrivateKey) -> str:
    """The public key as a config has it."""
    return base64.b64encode(public(private)).decode()


def sign(private: Ed25519PrivateKey, text: bytes) -> str:
    """The signature of a record, in base64."""
    return base64.b64encode(private.sign(_MEANT + text)).decode()


def is_signed(key: bytes, text: bytes, signature: bytes) -> bool:
    """Whether a record was signed with the private key of this public one."""
    try:
        decoded = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(decoded, _MEANT + text)
    except (InvalidSignature, ValueError):
        return False
    return True
