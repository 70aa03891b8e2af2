"""Labelled pairs of texts from tab-separated files, as byte codes.

A line is one pair, without header and quoting:

    label (1.0 or 0.0)    id 1    id 2    text 1    text 2

Files are read as bytes, line after line; what was read of a large one is kept on disk and mapped
into memory, so that neither the first reading nor any later one takes much memory.
"""

import contextlib
import hashlib
import itertools
import lzma
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dss.datasets import byte_text
from keras_dss.datasets.paths import cache_folder, data_folder, replacing
from keras_dss.datasets.provenance import file_sha256

NUM_CLASSES = 2
VOCABULARY_SIZE = byte_text.VOCABULARY_SIZE
MAX_LENGTH = 4000

CACHED_FROM = 1 << 20  # bytes of a file; a smaller one is read anew each time
CACHE_VERSION = 1
_COLUMNS = ("label", "id1", "id2", "text1", "text2")
_LABELS = {b"0.0": 0, b"1.0": 1}
_BLOCK = 256  # pairs encoded at a time
_PAIR_BYTES = 2 * MAX_LENGTH * np.dtype(np.uint16).itemsize


def encode(raw):
    """Returns pairs of texts as padded byte codes, see `byte_text.encode`.

    Args:
        raw: sequence of n pairs (tuples, lists or rows of an array) of strings or bytes.

    Returns:
        uint16 (n, 2, 4000), codes 1 to 256, padded with 0; what is longer is cut.

    Raises:
        ValueError: for an entry that is no pair.
        TypeError: for a text that is neither a string nor bytes.

    Example:

    >>> encode([("ab", b"\\xff")])[0, :, :3]
    array([[ 98,  99,   0],
           [256,   0,   0]], dtype=uint16)
    """
    pairs = list(raw)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
            raise ValueError(f"Entry {i}: expected a pair of texts. Received: {pair!r:.80}")
    texts = [text for pair in pairs for text in pair]
    return byte_text.encode(texts, MAX_LENGTH).reshape(len(pairs), 2, MAX_LENGTH)


def decode(codes):
    """Returns the texts of encoded pairs (2, L) or (n, 2, L), a tuple of bytes for each pair."""
    if np.ndim(codes) > 2:
        return [decode(pair) for pair in codes]
    return tuple(byte_text.decode(codes))


def parse(lines, where):
    """Yields `(label, id1, id2, text1, text2)` of each line, an int and bytes.

    Raises:
        ValueError: for another number of columns or another label; it names `where` and the row.
    """
    for row, line in enumerate(lines, start=1):
        columns = line.removesuffix(b"\n").removesuffix(b"\r").split(b"\t")
        if len(columns) != len(_COLUMNS):
            raise ValueError(
                f"{where}, row {row}: expected {len(_COLUMNS)} columns separated by tabs, "
                f"{', '.join(_COLUMNS)}. Received: {len(columns)} columns"
            )
        if columns[0] not in _LABELS:
            raise ValueError(
                f"{where}, row {row}: expected a label 1.0 or 0.0. Received: {columns[0][:40]!r}"
            )
        yield _LABELS[columns[0]], *columns[1:]


@dataclass(frozen=True)
class PairFiles:
    """The three files of a task, and where they may lie.

    Attributes:
        files: dict from split to the name of its file.
        origin: what to say when they are missing: what they are and how to get them.
        folders: where they may lie below the data folder.
        archive: name of a tar.xz archive in the data folder that may hold them instead.
    """

    files: dict[str, str]
    origin: str
    folders: tuple[str, ...] = ("",)
    archive: str | None = None

    def locate(self, data_dir=None):
        """Returns the folder of the files, else the path of the archive.

        Raises:
            FileNotFoundError: if neither is there, or only some of the files.
        """
        root = data_folder(data_dir)
        for folder in [] if root is None else [root / name for name in self.folders]:
            missing = [name for name in self.files.values() if not (folder / name).exists()]
            if not missing:
                return folder
            if len(missing) < len(self.files):
                raise FileNotFoundError(
                    f"Folder {folder} holds only a part of the files. Missing: {', '.join(missing)}"
                )
        if root is not None and self.archive and (root / self.archive).exists():
            return root / self.archive
        names = ", ".join(filter(None, [*self.files.values(), self.archive]))
        raise FileNotFoundError(
            f"{self.origin} Put the files into a folder, and pass that as `data_dir` or name it "
            f"in the environment variable KERAS_DSS_DATA_DIR. Expected: {names}. "
            f"Received: folder {root}"
        )

    def load(self, split, data_dir=None, cache_dir=None):
        """Returns `(x, y)` of a split: uint16 (n, 2, 4000) and uint8 (n,).

        For large files `x` is a read-only memory map of a file in `cache_dir`; a damaged one is
        replaced.
        """
        source = self.locate(data_dir)
        path = source if source.is_file() else source / self.files[split]
        if path.stat().st_size < CACHED_FROM:
            return _gather(self.rows(split, data_dir))

        cache = cache_folder(cache_dir)
        cache.mkdir(parents=True, exist_ok=True)
        digest = _remembered_sha256(path, cache)
        targets = {
            name: cache / f"pairs-v{CACHE_VERSION}-{digest[:32]}-{name}.bin"
            for name in (self.files if source.is_file() else [split])
        }
        found = _read(targets[split])
        if found is None:
            with contextlib.ExitStack() as stack:  # all splits of an archive or none
                temporary = {
                    name: stack.enter_context(replacing(target)) for name, target in targets.items()
                }
                stack.enter_context(_complete(source))
                for name, rows in self._streams(source, targets):
                    _write(temporary[name], rows)
            found = _read(targets[split])
        return found

    def rows(self, split, data_dir=None):
        """Yields `(label, id1, id2, text1, text2)` of a split, with the whole texts as bytes."""
        source = self.locate(data_dir)
        with _complete(source):
            for name, rows in self._streams(source, [split]):
                if name == split:
                    yield from rows

    def describe(self, data_dir, known):
        """Returns `(source, defects)` of the copy in a folder: what is known, else its hashes.

        Args:
            data_dir: see `locate`.
            known: dict from SHA-256 to `(source, defects)`; of several files all must be known.
        """
        source = self.locate(data_dir)
        paths = [source] if source.is_file() else [source / name for name in self.files.values()]
        digests = [_remembered_sha256(path, cache_folder()) for path in paths]
        if all(digest in known for digest in digests):
            return known[digests[0]]
        found = [f"{path.name}, SHA-256 {d}" for path, d in zip(paths, digests, strict=True)]
        return f"The user's own {'; '.join(found)}.", ()

    def _streams(self, source, wanted):
        """Yields each wanted split and its rows, which must be used up before the next."""
        if source.is_file():
            yield from self._members(source)
            return
        for split in wanted:
            path = source / self.files[split]
            with _shown(path) as file:
                yield split, parse(file, f"File {path}")

    def _members(self, path):
        """Yields all splits of an archive, in its order, and reads it to the last byte."""
        splits = {name: split for split, name in self.files.items()}
        missing = set(splits)
        with lzma.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name in missing:
                    missing.remove(name)
                    lines = archive.extractfile(member)
                    yield splits[name], parse(lines, f"File {path}, member {name}")
            while stream.read(1 << 20):
                pass
        if missing:
            raise ValueError(
                f"File {path}: expected the members {', '.join(splits)}. "
                f"Received: none named {', '.join(sorted(missing))}"
            )


@contextlib.contextmanager
def _complete(source):
    """Names the archive in which reading ran into damage."""
    try:
        yield
    except (EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise ValueError(
            f"File {source}: expected a complete tar.xz archive. Received: {error}"
        ) from error


@contextlib.contextmanager
def _shown(path):
    """An open file; on a terminal a bar shows how far a large one has been read."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    quiet = not console.is_terminal or path.stat().st_size < 100 * CACHED_FROM
    name = f"Reading {path.name}"
    with progress.open(
        path, "rb", description=name, console=console, transient=True, disable=quiet
    ) as file:
        yield file


def _blocks(rows):
    """Yields `(x, y)` of some rows at a time."""
    while block := list(itertools.islice(rows, _BLOCK)):
        labels, _, _, *texts = zip(*block, strict=True)
        yield encode(list(zip(*texts, strict=True))), np.array(labels, np.uint8)


def _gather(rows):
    empty = np.zeros((0, 2, MAX_LENGTH), np.uint16), np.zeros(0, np.uint8)
    return tuple(map(np.concatenate, zip(empty, *_blocks(rows), strict=True)))


def _write(path, rows):
    """Codes of all pairs, then one byte for each label."""
    labels = []
    with open(path, "wb") as file:
        for x, y in _blocks(rows):
            file.write(x)
            labels.append(y)
        file.writelines(labels)


def _read(path):
    """What `_write` wrote, the codes mapped into memory, or None if it is missing or damaged."""
    if not path.exists():
        return None
    count, rest = divmod(path.stat().st_size, _PAIR_BYTES + 1)
    labels = np.fromfile(path, np.uint8, offset=count * _PAIR_BYTES)
    if rest or labels.max(initial=0) > 1:
        return None
    if not count:
        return _gather(())
    x = np.memmap(path, np.uint16, "r", shape=(count, 2, MAX_LENGTH))
    return x.view(np.ndarray), labels


def _remembered_sha256(path, cache):
    """SHA-256 of a file; of a large one computed once as long as it is unchanged."""
    status = path.stat()
    if status.st_size < CACHED_FROM:
        return file_sha256(path)
    state = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    note = cache / f"sha256-{hashlib.sha256(state.encode()).hexdigest()[:32]}.txt"
    if not note.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(note) as temporary:
            Path(temporary).write_text(file_sha256(path))
    return note.read_text()
