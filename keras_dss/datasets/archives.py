"""Members of tar.gz archives, read in one pass and checked to the last byte."""

import gzip
import tarfile
import zlib


def read_members(path, chosen):
    """Yields `(name, content)` of the files in an archive, in their order.

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
