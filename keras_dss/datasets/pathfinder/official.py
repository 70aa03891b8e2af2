"""Pathfinder in the official layout: folders `imgs` of PNG files and `metadata` that lists them.

A row of metadata names the folder and the file of an image in columns 0 and 1, its label in
column 3. The files `metadata/*.npy` are arrays of 11 columns as the published generator writes
them, or text with spaces between the columns, as in the release of Long Range Arena.
"""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_dss.datasets.splits import hold_out

CONTOURS = "curv_contour_length_14"
KNOWN_EMPTY = ("curv_baseline", "imgs", "0", "sample_172.png")  # in the release, 32 x 32
BLOCK = 1000  # images read between two signs of progress


def find(root, size):
    """Returns the folder of `imgs` and `metadata` in `root`, or None if there is none.

    Raises:
        FileNotFoundError: if only one of the two is there.
    """
    if root is None:
        return None
    for folder in (root / f"pathfinder{size}" / CONTOURS, root / CONTOURS, root):
        there = [name for name in ("imgs", "metadata") if (folder / name).is_dir()]
        if len(there) == 2:
            return folder
        if there or (folder != root and folder.exists()):
            raise FileNotFoundError(
                f"Folder {folder} holds only a part of Pathfinder. Expected folders imgs and "
                f"metadata. Received: {', '.join(there) or 'neither'}"
            )
    return None


def read_metadata(folder):
    """Returns the paths of the images, a list, and their labels, uint8 (n,).

    Raises:
        ValueError: for a malformed row, named with its file, or fewer than 3 images.
    """
    files = sorted((folder / "metadata").glob("*.npy"), key=lambda p: (len(p.stem), p.stem))
    paths, labels = [], []
    for file in files:
        for number, row in enumerate(_read_rows(file), start=1):
            if len(row) < 4 or row[3] not in ("0", "1"):
                raise ValueError(
                    f"File {file}, row {number}: expected a folder, a file, a number and a label 0 "
                    f"or 1 in the first 4 columns. Received: {' '.join(row)!r}"
                )
            path = folder / row[0] / row[1]
            if path.parts[-4:] == KNOWN_EMPTY and path.exists() and not path.stat().st_size:
                warnings.warn(f"File {path} is known to be empty: left out.", stacklevel=2)
                continue
            paths.append(path)
            labels.append(int(row[3]))
    if len(labels) < 3:
        raise ValueError(
            f"Folder {folder / 'metadata'}: expected files .npy that list at least 3 images. "
            f"Received: {len(files)} files with {len(labels)} images"
        )
    return paths, np.array(labels, np.uint8)


def _read_rows(file):
    content = file.read_bytes()
    if not content.startswith(b"\x93NUMPY"):
        text = content.decode("utf-8", errors="replace")
        return [line.split() for line in text.splitlines() if line.strip()]
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"File {file}: expected an array of text. Received: {error}") from None
    if array.ndim != 2:
        raise ValueError(f"File {file}: expected 11 columns. Received: shape {array.shape}")
    return [
        [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in row]
        for row in array
    ]


def split_rows(count):
    """Dict from split to ascending rows: 80 : 10 : 10 by fixed permutations."""
    rest, test = hold_out(count, 20_000, full=200_000)
    train, validation = hold_out(len(rest), 20_000, full=180_000)
    return {"train": rest[train], "validation": rest[validation], "test": test}


def read_images(paths, size, x, workers, advance=lambda count: None):
    """Reads images into the rows of x, uint8 (n, size^2).

    Raises:
        FileNotFoundError: for an image that is not there.
        ValueError: for one that cannot be read, or has another size.
    """
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(paths), BLOCK):
            block = paths[first : first + BLOCK]
            for row, image in enumerate(pool.map(lambda path: _read_image(path, size), block)):
                x[first + row] = image.reshape(-1)
            advance(len(block))


def _read_image(path, size):
    from PIL import Image

    if not path.exists():
        raise FileNotFoundError(f"File {path} is listed in the metadata and missing.")
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"File {path}: expected a PNG image. Received: {error}") from None
    if pixels.shape != (size, size):
        raise ValueError(
            f"File {path}: expected {size} x {size} pixels. Received: "
            f"{' x '.join(map(str, pixels.shape))}"
        )
    return pixels
