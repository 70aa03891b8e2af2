"""Pathfinder images on disk: drawn by several processes, or converted from an official copy.

A split is a folder with the files x.npy, uint8 (n, height size), and y.npy, uint8 (n,); with
labels of pixels also steps.npy, as x.npy. It is written under a temporary name and renamed when it
is whole, and read as a memory map; a damaged one is replaced.
"""

import contextlib
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_dss.datasets.pathfinder import official, worker
from keras_dss.datasets.pathfinder.generator import GENERATOR_VERSION, generate_chunk
from keras_dss.datasets.pathfinder.settings import SETTINGS, Easier, suitable_length
from keras_dss.datasets.paths import cache_folder, check_split, data_folder
from keras_dss.datasets.provenance import Provenance

SPLITS = {"train": 160_000, "validation": 20_000, "test": 20_000}
CONTOUR_LENGTHS = range(2, 15)  # of easier images
HEIGHTS = range(32, 129)  # of easier images, larger ones
SMALL = 2**26  # bytes of an official copy that is not worth a converted one


def load(
    task, size, split, data_dir, examples=None, cache_dir=None, seed=0, workers=None, progress=True,
    contour_length=None, height=None, step_labels=False,
):  # fmt: skip
    """Returns x, uint8 (n, height size), and y, uint8 (n,), of a split of the task of that name.

    With a `contour_length` or a `height` they are easier images, else the height is the size; with
    `step_labels` those of pixels, uint8 (n, height size), follow. Both are always drawn.
    """
    split = check_split(split, SPLITS)
    if workers is None:
        known = getattr(os, "sched_getaffinity", None)
        workers = len(known(0)) if known else os.cpu_count() or 1
    if workers < 1 or seed < 0:
        raise ValueError(
            "`workers` must be at least 1, and `seed` not negative. "
            f"Received: workers={workers}, seed={seed}"
        )
    if height is not None and height not in HEIGHTS:
        raise ValueError(
            f"`height` must be between {HEIGHTS[0]} and {HEIGHTS[-1]} rows. Received: {height}"
        )
    longest = suitable_length(SETTINGS[size], height or size)
    if contour_length is not None and contour_length not in range(2, longest + 1):
        raise ValueError(
            f"`contour_length` must be between 2 and {longest} dashes"
            f"{f' in {height} rows' if height else ''}. Received: {contour_length}"
        )
    easier = Easier(contour_length, height) if contour_length or height else None
    cache = cache_folder(cache_dir)
    folder = None if easier or step_labels else official.find(data_folder(data_dir), size)
    if folder is None:
        return _load_generated(
            task, size, split, examples, cache, seed, workers, progress, easier, step_labels
        )

    paths, labels = official.read_metadata(folder)
    rows = official.split_rows(len(labels))[split]
    if examples is not None and not 0 <= examples <= len(rows):
        raise ValueError(
            f"`examples` must be between 0 and {len(rows)}, the size of split {split!r} in "
            f"{folder}. Received: {examples}"
        )
    y = labels[rows]
    if len(labels) * size**2 <= SMALL:
        x = np.empty((len(rows), size**2), np.uint8)
        official.read_images([paths[row] for row in rows], size, x, workers)
        return x[:examples], y[:examples]
    known = hashlib.sha256(str(folder.resolve()).encode() + labels.tobytes())
    known.update("\n".join(map(str, paths)).encode())
    target = cache / f"{task}-official-{known.hexdigest()[:12]}-{split}-{len(rows)}"
    if _read(target) is None:
        shutil.rmtree(target, ignore_errors=True)
        with new_folder(target) as temporary, _progress(progress, len(rows), "Reading") as advance:
            x = _create(temporary / "x.npy", (len(rows), size**2))
            chosen = [paths[row] for row in rows]
            official.read_images(chosen, size, x, workers, advance)
            x.flush()
            np.save(temporary / "y.npy", y)
    x, y = _read(target)
    return x[:examples], y[:examples]


def _load_generated(
    task, size, split, examples, cache, seed, workers, progress, easier, step_labels
):  # fmt: skip
    total = SPLITS[split]
    examples = total if examples is None else examples
    if not 0 <= examples <= total:
        raise ValueError(
            f"`examples` must be between 0 and {total}, the size of split {split!r}. "
            f"Received: {examples}"
        )
    number = list(SPLITS).index(split)
    name = f"{task}-v{GENERATOR_VERSION}-seed{seed}{easier.name if easier else ''}"
    endings = ["-steps"] if step_labels else ["", "-steps"]  # of folders with the same images
    for ending, count in itertools.product(endings, (total, examples)):
        found = _read(cache / f"{name}{ending}-{split}-{count}", step_labels)
        if found is not None:
            return tuple(array[:examples] for array in found)
    if examples <= SETTINGS[size].chunk:
        x, y, *z = generate_chunk(SETTINGS[size], seed, number, 0, easier, step_labels)
        x, *z = (array.reshape(len(array), -1) for array in (x, *z))
        return tuple(array[:examples] for array in (x, y, *z))
    target = cache / f"{name}{endings[0]}-{split}-{examples}"
    shutil.rmtree(target, ignore_errors=True)
    with new_folder(target) as temporary, _progress(progress, examples, "Drawing") as advance:
        generate(temporary, size, seed, number, examples, workers, advance, easier, step_labels)
    return _read(target, step_labels)


def generate(
    folder, size, seed, split, examples, workers, advance, easier=None, step_labels=False
):  # fmt: skip
    """Draws the files of a split into an existing folder, in `workers` processes.

    The images follow from the seed and the number of the split, whatever `workers` and `examples`.

    Args:
        advance: function called with the number of images done since the last call.

    Raises:
        RuntimeError: if a process fails.
    """
    paths = _paths(folder, step_labels)
    pixels = size * (easier and easier.height or size)
    for path in paths:
        _create(path, (examples,) if path.stem == "y" else (examples, pixels))
    workers = min(workers, -(-examples // SETTINGS[size].chunk))
    arguments = [sys.executable, "-P", worker.__file__, size, seed, split]
    grade = (easier.contour_length, easier.height) if easier else (None, None)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    reading, writing = os.pipe()
    processes, done = [], 0
    with open(reading) as lines, open(writing, "w") as pipe, tempfile.TemporaryFile() as errors:
        try:
            for number in range(workers):
                processes.append(
                    subprocess.Popen(
                        [*map(str, (*arguments, number, workers, *grade, *paths))],
                        stdin=subprocess.DEVNULL,
                        stdout=pipe,
                        stderr=errors,
                        env={**os.environ, **threads},
                    )
                )
            pipe.close()
            for line in lines:  # ends when the last process does
                advance(int(line))
                done += int(line)
                if any(process.poll() for process in processes):
                    break
        finally:
            if done < examples:
                for process in processes:
                    process.kill()
            failed = any([process.wait() for process in processes])
        if failed or done < examples:
            errors.seek(0)
            message = errors.read().decode(errors="replace")
            raise RuntimeError(f"Drawing Pathfinder images failed: {message}")


@contextlib.contextmanager
def new_folder(path):
    """Gives a temporary folder beside `path`; on success it is renamed to `path`.

    If `path` has come into being meanwhile, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            temporary.rename(path)
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _create(path, shape):
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def _paths(folder, step_labels=False):
    return [folder / f"{name}.npy" for name in ("x", "y", *(["steps"] if step_labels else []))]


def _read(folder, step_labels=False):
    """The arrays of a split, or None if the folder is missing or damaged."""
    try:
        x, y, *z = (np.load(path, mmap_mode="r") for path in _paths(folder, step_labels))
        y = np.array(y)
    except (OSError, EOFError, ValueError):
        return None
    return (x, y, *z) if all(len(array) == len(x) for array in (y, *z)) else None


@contextlib.contextmanager
def _progress(shown, total, what):
    """Gives a function that advances a progress bar, which shows on a terminal alone."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task(f"{what} Pathfinder images", total=total)
        yield lambda count: bar.advance(task, count)


def encode(raw, size, mean, deviation):
    """Returns images, uint8 (n, size, size), as float32 (n, size^2, 1)."""
    raw = np.asarray(raw)
    if raw.shape[1:] != (size, size) or raw.dtype != np.uint8:
        raise ValueError(
            f"Expected uint8 images (n, {size}, {size}). Received: {raw.dtype} {raw.shape}"
        )
    pixels = raw.reshape(len(raw), size**2, 1).astype(np.float32)
    pixels -= np.float32(mean)
    pixels /= np.float32(deviation)
    return pixels


def provenance(size, data_dir, seed):
    """Returns the `Provenance` of what `load` reads."""
    description = (
        f"Pathfinder of Long Range Arena (Tay et al., 2021; after Linsley et al., 2018), images of "
        f"{size} x {size} pixels as standardised sequences: are two markers on the same dashed "
        "contour? 160,000 images for training, 20,000 for validation, 20,000 for test."
    )
    folder = official.find(data_folder(data_dir), size)
    if folder is None:
        return Provenance(
            description,
            f"Drawn by the generator of keras_dss, version {GENERATOR_VERSION}, seed {seed}, with "
            "the published settings; not the images of the official release.",
        )
    labels = official.read_metadata(folder)[1]
    return Provenance(
        description,
        f"A copy {folder.name} in the official layout with {len(labels):,} images, divided "
        "80 : 10 : 10 by a fixed permutation.",
    )
