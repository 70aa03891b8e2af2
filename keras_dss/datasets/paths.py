"""Folders of the data sets, names of the splits, and files that appear whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


def data_folder(data_dir=None):
    """Returns `data_dir`, else the environment variable `KERAS_DSS_DATA_DIR`, as a path, else None.

    Raises:
        NotADirectoryError: if the folder does not exist.
    """
    folder = data_dir or os.environ.get("KERAS_DSS_DATA_DIR")
    if not folder:
        return None
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(f"The data folder must exist. Received: {folder}")
    return folder


def cache_folder(cache_dir=None):
    """Returns `cache_dir`, else `$KERAS_DSS_CACHE_DIR`, else `~/.keras/keras_dss`, as a path."""
    folder = cache_dir or os.environ.get("KERAS_DSS_CACHE_DIR")
    if not folder:
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "keras_dss"
    return Path(folder).expanduser()


def check_split(split, splits):
    """Returns the name of a split, one of `splits`; `"val"` stands for `"validation"`."""
    name = "validation" if split == "val" else split
    if name not in splits:
        raise ValueError(f"`split` must be one of {', '.join(splits)}. Received: {split!r}")
    return name


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary name beside `path`; on success that file takes the place of `path`."""
    handle, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=f".{Path(path).name}.")
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
