"""Archives of files (tar.gz) and of arrays (npz), whose damage is named."""

import gzip
import tarfile
import zipfile
import zlib

import numpy as np


def read_members(path, chosen):
    """Yields `(name, content)` of the files in an archive, read once and to the last byte.

    Args:
        path: of a tar.gz archive.
        chosen: function from the name of a file to whether it is wanted.

    Raises:
        ValueError: if the archive is truncated or damaged; it names the last member read.
    """
    last = "none"
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.isfile() and chosen(member.name):
                    yield member.name, archive.extractfile(member).read()
                last = member.name
            while stream.read(1 << 20):  # up to the checksum
                pass
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error) as error:
        raise ValueError(
            f"File {path}: expected a complete tar.gz archive. The last member read is {last}. "
            f"Received: {error}"
        ) from error


def read_arrays(file, names, where):
    """Returns the arrays `names` of a NumPy archive (npz) as a list.

    Args:
        file: path, or open binary file.
        names: list of strings.
        where: what errors call the file.

    Raises:
        ValueError: if the archive is damaged or lacks an array.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            found = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in set(names).intersection(found):
                with archive.open(f"{name}.npy") as member:
                    arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    except (EOFError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"File {where}: expected a complete NumPy archive (npz). Received: {error}"
        ) from error
    if len(arrays) < len(names):
        raise ValueError(f"File {where}: expected arrays {names}. Received: {found}")
    return [arrays[name] for name in names]
