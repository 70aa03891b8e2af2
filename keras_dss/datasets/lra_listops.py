"""ListOps of Long Range Arena: the value of a nested expression of digits and list operators.

    [MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]   ->   5

Ten classes, expressions of 501 to 1999 tokens, 96,000 / 2,000 / 2,000 examples. The official
files are read where the user has them, otherwise the data is generated with the distribution of
the official generator.

Source: Nangia & Bowman, "ListOps: A Diagnostic Dataset for Latent Tree Learning", 2018, arXiv
1804.06028; Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
"""

import csv
import os
from pathlib import Path

import numpy as np

from keras_dss.datasets import listops_generator
from keras_dss.datasets.archives import read_arrays
from keras_dss.datasets.grades import Grades
from keras_dss.datasets.listops_text import (
    VOCABULARY_SIZE,
    decode,
    encode,
    encode_bytes,
    evaluate,
    evaluate_so_far,
)
from keras_dss.datasets.paths import cache_folder, check_split, data_folder, replacing
from keras_dss.datasets.provenance import Provenance, file_sha256

__all__ = [
    "GRADES",
    "KIND",
    "MAX_LENGTH",
    "NUM_CLASSES",
    "SPLITS",
    "STEP_WEIGHTS",
    "VOCABULARY_SIZE",
    "decode",
    "encode",
    "evaluate",
    "evaluate_so_far",
    "find_official",
    "load",
    "provenance",
    "write_tsv",
]

KIND = "classification"
NUM_CLASSES = 10
STEP_WEIGHTS = (1.0,) * NUM_CLASSES  # of the labels of steps, in a training
MAX_LENGTH = listops_generator.MAX_LENGTH
SPLITS = {"train": 96_000, "validation": 2_000, "test": 2_000}
GRADES = Grades(
    "max_length", range(16, MAX_LENGTH + 1), "shorter expressions, of fewer tokens than"
)

_OFFICIAL = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}
_HEADER = ["Source", "Target"]


def load(
    split,
    data_dir=None,
    *,
    examples=None,
    cache_dir=None,
    seed=0,
    workers=None,
    progress=True,
    max_length=None,
    step_labels=False,
):
    """Returns one split as arrays `(x, y)`, or `(x, y, z)` with `step_labels`.

    The official files `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` are read if
    `data_dir` holds them, directly or in a folder `listops-1000` or `lra_listops`. Otherwise
    expressions are generated: from `seed` alone, whatever the number of workers. A whole
    generated split is kept in `cache_dir`; a damaged file there is replaced.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder of the official copy. Defaults to the environment variable
            `KERAS_DSS_DATA_DIR`.
        examples: only the first so many examples of the split, without generating the others.
        cache_dir: folder for generated splits. Defaults to the environment variable
            `KERAS_DSS_CACHE_DIR`, else `keras_dss` in the folder of Keras (`~/.keras`).
        seed: non-negative int, for generated data.
        workers: threads for the generation. Defaults to the number of processors, at most 8.
        progress: whether to show a progress bar while generating.
        max_length: int from 16 to 2000, for easier expressions, always generated, that a training
            may begin with: of fewer tokens than this, and of more than a fourth of it. None: the
            task's own.
        step_labels: whether to return the values on the way too: easier questions that a training
            may ask beside the task's own.

    Returns:
        x: uint8 (n, 2000), tokens below `VOCABULARY_SIZE`, padded with 0 on the right; with a
            `max_length` (n, max_length).
        y: uint8 (n,), values 0 to 9.
        z: with `step_labels`, uint8 as x: the values within the expressions, see
            `evaluate_so_far`, and 255 where there is none.

    Raises:
        ValueError: for an unknown split, more examples than there are, a `max_length` out of range,
            or a malformed official file.
        FileNotFoundError: if only some of the official files are there.

    Example:

    >>> from keras_dss.datasets import lra_listops
    >>> x, y = lra_listops.load("test", examples=2)
    >>> x.shape, x.dtype, y.shape
    ((2, 2000), dtype('uint8'), (2,))
    >>> lra_listops.evaluate(x[0]) == int(y[0])
    True
    """
    split = check_split(split, SPLITS)
    if max_length is None:
        x, y = _load(split, data_dir, examples, cache_dir, seed, workers, progress)
    else:
        x, y = _load_easier(split, examples, seed, workers, progress, max_length)
    return (x, y, evaluate_so_far(x)) if step_labels else (x, y)


def _load(split, data_dir, examples, cache_dir, seed, workers, progress):
    official = find_official(data_dir)
    if official:
        return _read_tsv(official / _OFFICIAL[split], examples)

    total = _check_examples(split, examples)
    cached = _read_cache(_cache_path(split, seed, cache_dir), total)
    if cached:
        x, y = cached
        return (x, y) if examples is None else (x[:examples], y[:examples])
    if examples is not None and examples < total:
        return _generate({split: examples}, seed, workers, progress)[split]

    # The small splits come with the large one, and all expressions are compared.
    wanted = SPLITS if split == "train" else {split: total}
    data = _generate(wanted, seed, workers, progress)
    duplicates = listops_generator.count_duplicates(np.concatenate([x for x, _ in data.values()]))
    if duplicates:
        raise RuntimeError(
            f"Seed {seed} gives {duplicates} expressions twice; choose another seed."
        )
    for name, (x, y) in data.items():
        _write_cache(_cache_path(name, seed, cache_dir), x, y)
    return data[split]


def _load_easier(split, examples, seed, workers, progress, max_length):
    if max_length not in GRADES.values:
        raise ValueError(
            f"`max_length` must be between {GRADES.values[0]} and {GRADES.values[-1]} tokens. "
            f"Received: {max_length}"
        )
    total = _check_examples(split, examples)
    sizes = {split: total if examples is None else examples}
    return _generate(sizes, seed, workers, progress, max_length)[split]


def _check_examples(split, examples):
    total = SPLITS[split]
    if examples is not None and not 0 <= examples <= total:
        raise ValueError(
            f"`examples` must be between 0 and {total}, the size of split {split!r}. "
            f"Received: {examples}"
        )
    return total


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads or generates, for a model's card."""
    folder = find_official(data_dir)
    if folder:
        source = (
            f"Files {', '.join(_OFFICIAL.values())} in the layout of Long Range Arena; SHA-256 of "
            f"{_OFFICIAL['train']}: {file_sha256(folder / _OFFICIAL['train'])}."
        )
        defects = ()
    else:
        source = (
            f"Generated by keras_dss.datasets.lra_listops, version "
            f"{listops_generator.GENERATOR_VERSION}, seed 0, with the distribution of the "
            "generator of Long Range Arena."
        )
        defects = ("Other expressions than those of the official files.",)
    return Provenance(
        "ListOps: 96,000 expressions to train, 2,000 to validate, 2,000 to test.", source, defects
    )


def write_tsv(directory, data_dir=None, **options):
    """Writes the three splits in the official layout and returns the paths.

    Args:
        directory: folder, created if missing.
        data_dir: see `load`, as all further keyword arguments.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, name in _OFFICIAL.items():
        x, y = load(split, data_dir, **options)
        with replacing(directory / name) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(_HEADER)
            writer.writerows(
                (decode(row, parentheses=True), int(label)) for row, label in zip(x, y, strict=True)
            )
        paths.append(directory / name)
    return paths


def find_official(data_dir):
    """Returns the folder that holds the official files, or None if there is none.

    Raises:
        FileNotFoundError: if only some of the files are there.
    """
    root = data_folder(data_dir)
    for folder in [] if root is None else [root, root / "listops-1000", root / "lra_listops"]:
        missing = [name for name in _OFFICIAL.values() if not (folder / name).exists()]
        if not missing:
            return folder
        if len(missing) < len(_OFFICIAL):
            raise FileNotFoundError(
                f"Folder {folder} holds only a part of the official ListOps files. "
                f"Missing: {', '.join(missing)}"
            )
    return None


def _read_tsv(path, examples=None):
    tokens, values, row = [], [], 0
    with open(path, "rb") as file:
        for row, line in enumerate(file, start=1):
            columns = line.rstrip(b"\r\n").split(b"\t")
            where = f"File {path}, row {row}:"
            if len(columns) != 2:
                raise ValueError(
                    f"{where} expected 2 columns separated by a tab, {' and '.join(_HEADER)}. "
                    f"Received: {len(columns)} columns"
                )
            if row == 1:
                if columns != [name.encode() for name in _HEADER]:
                    raise ValueError(f"{where} expected the header {_HEADER}. Received: {columns}")
                continue
            if examples is not None and len(tokens) == examples:
                break
            if columns[1] not in (b"%d" % value for value in range(NUM_CLASSES)):
                raise ValueError(
                    f"{where} expected a target 0 to 9. "
                    f"Received: {columns[1].decode(errors='replace')!r}"
                )
            try:
                tokens.append(encode_bytes(columns[0]))
            except ValueError as error:
                raise ValueError(f"{where} {error}") from None
            values.append(int(columns[1]))
    if not row:
        raise ValueError(f"File {path}: expected the header {_HEADER}. Received: an empty file")
    if examples is not None and not 0 <= examples <= len(tokens):
        raise ValueError(
            f"`examples` must be between 0 and {len(tokens)}, the number of rows in {path}. "
            f"Received: {examples}"
        )
    x = np.zeros((len(tokens), MAX_LENGTH), np.uint8)
    for row, codes in zip(x, tokens, strict=True):
        row[: len(codes)] = np.frombuffer(codes, np.uint8)
    return x, np.array(values, np.uint8)


def _generate(sizes, seed, workers, progress, max_length=None):
    """Dict of split -> (x, y) with the first `sizes[split]` expressions of each split."""
    from rich.console import Console
    from rich.progress import Progress

    workers = workers or min(os.cpu_count() or 1, 8)
    console = Console(stderr=True)
    shown = progress and console.is_terminal
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("Generating ListOps", total=sum(sizes.values()))
        return {
            split: listops_generator.generate(
                seed,
                list(SPLITS).index(split),
                size,
                workers,
                lambda count: bar.advance(task, count),
                max_length,
            )
            for split, size in sizes.items()
        }


def _cache_path(split, seed, cache_dir):
    version = listops_generator.GENERATOR_VERSION
    name = f"lra_listops-v{version}-seed{seed}-{split}-{SPLITS[split]}.npz"
    return cache_folder(cache_dir) / name


def _write_cache(path, x, y):
    """Expressions one after another, without their padding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, tokens=x[x > 0], lengths=np.count_nonzero(x, axis=1).astype(np.uint16), y=y)


def _read_cache(path, total):
    """What `_write_cache` wrote, or None if the file is missing or damaged."""
    try:
        tokens, lengths, y = read_arrays(path, ["tokens", "lengths", "y"], path)
    except (FileNotFoundError, ValueError):
        return None
    if not lengths.shape == y.shape == (total,) or tokens.shape != (lengths.sum(),):
        return None
    x = np.zeros((total, MAX_LENGTH), np.uint8)
    x[np.arange(MAX_LENGTH, dtype=np.uint16) < lengths[:, None]] = tokens
    return x, y
