"""Files that are whole or absent: written under a temporary name, synced, renamed."""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

_META = "meta.json"
_LOCK = ".lock"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that belongs to another run."""


class FolderInUse(RuntimeError):
    """Another process is at work in a folder."""


@contextlib.contextmanager
def locked(folder, wait=False):
    """Keep other processes out of a folder; the lock ends with the process, however that ends.

    Args:
        folder: the folder; it is made if there is none.
        wait: whether to wait until another process is done.

    Raises:
        FolderInUse: another process is at work there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _LOCK, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise FolderInUse(
                f"Expected a folder that no other process works in. Received: {folder}"
            ) from None
        yield


def clear(folder, names=None):
    """Delete all that is in a `locked` folder, or these names; the file that is locked stays."""
    for path in Path(folder).iterdir():
        if path.name == _LOCK or (names is not None and path.name not in names):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`; on success it is synced and takes the place of `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print((Path(folder) / "a.txt").read_text())
    whole
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: Keras and Matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path):
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_json(path, content):
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_csv(path, rows):
    """Write dictionaries with the same keys as comma-separated values under one header line."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def write_checkpoint(path, arrays, meta):
    """Write named arrays and a JSON-able dictionary as one `.npz` file (no pickle)."""
    encoded = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{_META: encoded}, **arrays)


def read_checkpoint(path):
    """Return `(arrays, meta)` of `write_checkpoint`. Every byte is checked (CRC-32 of the archive).

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop(_META).tobytes())
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(
            "Expected a whole checkpoint: this one is damaged; begin again with --restart. "
            f"Received: {path} ({type(error).__name__}: {error})"
        ) from error
    return arrays, meta


def read_checkpoint_meta(path):
    """Return the dictionary of `write_checkpoint` alone, without reading the arrays.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return json.loads(archive[_META].tobytes())
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(
            f"Expected a whole checkpoint. Received: {path} ({type(error).__name__}: {error})"
        ) from error
