"""Where published models lie, their hashes, and the one way a folder is replaced."""

import contextlib
import difflib
import hashlib
import os
import re
import shutil
from pathlib import Path

from keras_dss.zoo.errors import DamagedFileError, MissingFileError, UnknownModelError, ZooError

CARD = "card.json"
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
PIN = "pin.npz"
FILES = (CONFIG, WEIGHTS, PIN)

NAME_RULE = "<task>[_base]_n<state size>[_bt|_h2]"
NAME = re.compile(
    r"(?P<task>[a-z][a-z0-9]*(?:_[a-z0-9]+)*?)(?P<size>_base)?"
    r"_n(?P<states>[1-9][0-9]*)(?P<reduced>_bt|_h2)?"
)

_PACKAGE = Path(__file__).resolve().parents[1]


def root():
    """Returns the folder of the published models as a `pathlib.Path`.

    It is `$KERAS_DSS_ZOO_DIR` if that is set, else the data inside the installed package, else
    the folder `zoo` of the source checkout.

    Raises:
        ZooError: if there is none of the three.

    Example:

    >>> import keras_dss
    >>> keras_dss.zoo.root().name in ("zoo", "_zoo_data") or "KERAS_DSS_ZOO_DIR" in os.environ
    True
    """
    given = os.environ.get("KERAS_DSS_ZOO_DIR")
    if given:
        return Path(given).expanduser()
    installed = _PACKAGE / "_zoo_data"
    if installed.is_dir():
        return installed
    if (_PACKAGE.parent / "setup.py").is_file():
        return _PACKAGE.parent / "zoo"
    raise ZooError(
        "Expected published models in $KERAS_DSS_ZOO_DIR, in the installed package or in the "
        f"folder zoo/ of a checkout. Received: no such variable, and neither {installed} nor "
        f"{_PACKAGE.parent / 'zoo'} belongs to keras_dss."
    )


def writable_root():
    """Returns `root()`, unless that is the data of an installed package.

    Raises:
        ZooError: if it is; models are published to a checkout or to a folder of the user's.
    """
    folder = root()
    if folder == _PACKAGE / "_zoo_data":
        raise ZooError(
            "Expected a folder to publish to: pass root=... or set $KERAS_DSS_ZOO_DIR. "
            f"Received: the installed package's own data, {folder}."
        )
    return folder


def _previous(folder, name):
    return folder / f".{name}.previous"


def names(root=None):
    """Returns the sorted names of the published models as a list of strings.

    Args:
        root: folder of the published models; `root()` if None.

    Example:

    >>> import keras_dss
    >>> isinstance(keras_dss.zoo.list(), list)
    True
    """
    folder = find_root(root)
    if not folder.is_dir():
        return []
    found = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    # A publication that died between its two renames has left the old model under another name.
    found |= {name[1 : -len(".previous")] for name in found if name.endswith(".previous")}
    return sorted(name for name in found if NAME.fullmatch(name))


def find_root(given=None):
    """Returns `given` as a path, or `root()` if it is None."""
    return root() if given is None else Path(given).expanduser()


def locate(name, root=None):
    """Returns the folder of the published model `name`.

    Raises:
        UnknownModelError: naming the nearest names, or all there are.
    """
    known = names(root)
    folder = find_root(root)
    if name in known:
        return folder / name if (folder / name).is_dir() else _previous(folder, name)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {known}."
    raise UnknownModelError(
        f"Expected the name of a published model, in {folder}. {hint} Received: {name!r}."
    )


def sha256(path):
    """Returns the sha256 of a file as 64 hexadecimal digits.

    Raises:
        MissingFileError: if there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingFileError(f"Expected the file {path}. Received: no such file.") from None


def check_hash(path, expected):
    """Raises `DamagedFileError` unless the file's sha256 is `expected`."""
    received = sha256(path)
    if received != expected:
        raise DamagedFileError(
            f"The file {path} is damaged. Expected: sha256 {expected}. Received: sha256 {received}."
        )


def _sync(path):
    # A folder cannot be opened for this everywhere; there the rename alone has to do.
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _lock(folder):
    """One writer at a time in a folder, where the system can lock one; it ends with the process."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _recover(folder, name):
    """Undoes or ends what a killed publication has left."""
    target, previous = folder / name, _previous(folder, name)
    if previous.is_dir():
        if target.is_dir():
            shutil.rmtree(previous)
        else:
            os.rename(previous, target)
    for stale in folder.glob(f".{name}.*.new"):
        shutil.rmtree(stale)


@contextlib.contextmanager
def replacing(folder, name):
    """Yields an empty folder that becomes `folder/name` when the block ends without an error.

    At any moment, a kill included, readers find the old folder or the new one, whole. Every file
    is on the disk before the first rename. A second writer waits for the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        _recover(folder, name)
        with _replacing(folder, name) as fresh:
            yield fresh


@contextlib.contextmanager
def _replacing(folder, name):
    target, previous = folder / name, _previous(folder, name)
    fresh = folder / f".{name}.{os.getpid()}.new"
    fresh.mkdir()
    try:
        yield fresh
        for file in fresh.iterdir():
            _sync(file)
        _sync(fresh)
        if target.is_dir():
            os.rename(target, previous)
        try:
            os.rename(fresh, target)
        except BaseException:
            if previous.is_dir():
                os.rename(previous, target)
            raise
        _sync(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)
