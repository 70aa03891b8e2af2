"""Where a task's data came from, in words that a model's card repeats."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Provenance:
    """What a card says of the data a model was trained on.

    Attributes:
        description: the task, its splits and its encoding.
        source: what was read, generated or downloaded.
        defects: known faults of that copy, each a sentence; empty if none is known.
    """

    description: str
    source: str
    defects: tuple[str, ...] = ()


def file_sha256(path):
    """Returns the SHA-256 of a file in hexadecimal digits; read once as long as it is unchanged."""
    status = path.stat()
    return _sha256(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path, size, modified):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_file(path, known):
    """Returns `(source, defects)` of a file: what is known of its hash, else its name and hash.

    Args:
        path: `pathlib.Path` of an existing file.
        known: dict from SHA-256 to `(source, defects)`.
    """
    digest = file_sha256(path)
    found = known.get(digest)
    return found or (f"A file {path.name} of the user's own, SHA-256 {digest}.", ())
