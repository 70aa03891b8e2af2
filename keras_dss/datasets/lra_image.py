"""Image of Long Range Arena: a gray CIFAR-10 picture read pixel by pixel, as 1024 steps.

Ten classes, 45,000 / 5,000 / 10,000 examples. The validation examples are held out from the 50,000
training images by a fixed permutation; training images keep their order.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; as a sequence:
Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
"""

import io
import lzma

import numpy as np

from keras_dss.datasets.archives import read_arrays, read_members
from keras_dss.datasets.labels import check_labels
from keras_dss.datasets.paths import check_split, data_folder
from keras_dss.datasets.provenance import Provenance, describe_file
from keras_dss.datasets.splits import hold_out
from keras_dss.datasets.standardised import Standardised

KIND = "classification"
NUM_CLASSES = 10
CHANNELS = 1
VOCABULARY_SIZE = None  # pixels are real numbers, not tokens
MAX_LENGTH = 1024
SPLITS = {"train": 45_000, "validation": 5_000, "test": 10_000}
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

# Mean and standard deviation of the gray pixels, 0 to 255, of the training images, rounded.
MEAN, STANDARD_DEVIATION = 122.6, 61.0

_GRAY = "cifar10_gray.npz.xz"
_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary.tar.gz"
_BATCHES = {
    "train": [f"data_batch_{i}.bin" for i in range(1, 6)],
    "test": ["test_batch.bin"],
}
_RECORD = 1 + 3 * 1024  # label, then 32 x 32 pixels of each colour

# Copies whose content is known.
_KNOWN = {
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd": (
        "The archive cifar-10-binary.tar.gz of the author.",
        (),
    ),
    "857ca53548e7ca36452cc9a231929ea2e6c3f183423c14e88a2ac1b6e9a95f31": (
        "A file cifar10_gray.npz.xz, gray images rebuilt from public copies of CIFAR-10.",
        (
            "189 images were recovered from JPEG files, with an error of about 7 of 255 (root mean "
            "square): 155 of the 50,000 training images (147 ships, 7 horses, 1 dog) and 34 test "
            "images (33 ships, 1 horse).",
            "The order is that of the original files bit for bit in the first 4,000 training "
            "images; elsewhere it was recovered from the labels and statistical checks.",
        ),
    ),
}


def load(split, data_dir=None):
    """Returns one split as arrays `(x, y)`.

    Read from `data_dir`: the file `cifar10_gray.npz.xz`, or the binary version of CIFAR-10, as a
    folder `cifar-10-batches-bin` or as `cifar-10-binary.tar.gz`. If `data_dir` holds none of these,
    `keras.datasets.cifar10` downloads the images once. The pickled version of CIFAR-10 is not read
    from `data_dir`.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.

    Returns:
        x: `Standardised` (n, 1024, 1), float32 when indexed, see `encode`; one byte for each pixel
            in memory.
        y: uint8 (n,), the index in `CLASSES`.

    Raises:
        ValueError: for an unknown split, or a damaged file.
        FileNotFoundError: if the images are neither there nor can be downloaded.
    """
    split = check_split(split, SPLITS)
    images, labels = _read("test" if split == "test" else "train", data_dir)
    if split != "test":
        train, validation = hold_out(len(labels), SPLITS["validation"], full=50_000)
        chosen = train if split == "train" else validation
        images, labels = images[chosen], labels[chosen]
    return Standardised(images, MEAN, STANDARD_DEVIATION), labels


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    found = _find(data_dir)
    if found is None:
        source, defects = "CIFAR-10 as downloaded by keras.datasets.cifar10.", ()
    elif found.is_dir():
        source, defects = f"A folder {_FOLDER} of the user's own.", ()
    else:
        source, defects = describe_file(found, _KNOWN)
    return Provenance(
        "CIFAR-10 (Krizhevsky, 2009), gray, as standardised sequences of 1024 pixels: 45,000 "
        "images for training, 5,000 of the training images for validation, 10,000 for test.",
        source,
        defects,
    )


def encode(raw):
    """Returns images as standardised sequences, row by row: (gray - MEAN) / STANDARD_DEVIATION.

    Args:
        raw: uint8, gray (n, 32, 32) or (n, 1024), or colour (n, 32, 32, 3), see `to_gray`.

    Returns:
        float32 (n, 1024, 1).

    Raises:
        ValueError: for another shape or type.

    Example:

    >>> encode(np.zeros((2, 32, 32, 3), "uint8")).shape
    (2, 1024, 1)
    """
    raw = np.asarray(raw)
    if raw.shape[1:] not in ((32, 32), (MAX_LENGTH,), (32, 32, 3)) or raw.dtype != np.uint8:
        raise ValueError(
            "Expected uint8 images (n, 32, 32), (n, 1024) or (n, 32, 32, 3). "
            f"Received: {raw.dtype} {raw.shape}"
        )
    gray = to_gray(raw) if raw.ndim == 4 else raw
    return np.asarray(Standardised(gray.reshape(-1, MAX_LENGTH), MEAN, STANDARD_DEVIATION))


# gray = round(0.299 R + 0.587 G + 0.114 B), in fixed point with 16 bits
def to_gray(rgb):
    """Returns the luma of ITU-R 601-2, (19595 R + 38470 G + 7471 B + 32768) >> 16.

    Args:
        rgb: uint8 (..., 3).

    Returns:
        uint8 (...).

    Example:

    >>> to_gray(np.array([[255, 255, 255], [255, 0, 0]], "uint8"))
    array([255,  76], dtype=uint8)
    """
    rgb = np.asarray(rgb)
    gray = np.full(rgb.shape[:-1], 32768, np.uint32)
    for channel, weight in enumerate((19595, 38470, 7471)):
        gray += rgb[..., channel] * np.uint32(weight)
    return (gray >> 16).astype(np.uint8)


def _find(data_dir):
    """The file or folder to read, or None."""
    folder = data_folder(data_dir)
    if folder is None:
        return None
    candidates = [folder / name for name in (_GRAY, _FOLDER, _ARCHIVE)]
    return next((path for path in candidates if path.exists()), None)


def _read(part, data_dir):
    """Gray images uint8 (n, 1024) and labels uint8 (n,) of the `part`, "train" or "test"."""
    found = _find(data_dir)
    if found is None:
        return _download(data_folder(data_dir))[part]
    if found.name == _GRAY:
        return _read_gray(found, part)
    return _read_binary(found, part)


def _read_gray(path, part):
    keys = [f"x_{part}", f"y_{part}"]
    try:
        with lzma.open(path) as file:
            content = io.BytesIO(file.read())
    except (EOFError, lzma.LZMAError) as error:
        raise ValueError(f"File {path}: {error}") from error
    images, labels = read_arrays(content, keys, path)
    labels = check_labels(labels, NUM_CLASSES, f"{path}, array {keys[1]}")
    if images.shape != (len(labels), MAX_LENGTH) or images.dtype != np.uint8:
        raise ValueError(
            f"File {path}, array {keys[0]}: expected uint8 ({len(labels)}, 1024). "
            f"Received: {images.dtype} {images.shape}"
        )
    return images, labels


def _read_binary(path, part):
    if path.is_dir():
        contents = {file.name: file.read_bytes() for file in path.glob("*_batch*.bin")}
    else:
        wanted = _BATCHES[part]
        members = read_members(path, lambda name: name.split("/")[-1] in wanted)
        contents = {name.split("/")[-1]: content for name, content in members}
    missing = [name for name in _BATCHES[part] if name not in contents]
    if missing:
        raise FileNotFoundError(
            f"{path} holds only a part of the binary version of CIFAR-10. "
            f"Missing: {', '.join(missing)}"
        )
    images, labels = [], []
    for name in _BATCHES[part]:
        whole, rest = divmod(len(contents[name]), _RECORD)
        if rest:
            raise ValueError(
                f"File {path}/{name}, record {whole}: expected {_RECORD} bytes. Received: {rest}"
            )
        records = np.frombuffer(contents[name], np.uint8).reshape(-1, _RECORD)
        labels.append(check_labels(records[:, 0], NUM_CLASSES, f"{path}/{name}"))
        images.append(to_gray(records[:, 1:].reshape(-1, 3, MAX_LENGTH).swapaxes(1, 2)))
    return np.concatenate(images), np.concatenate(labels)


def _download(folder):
    import keras

    try:
        parts = keras.datasets.cifar10.load_data()
    except Exception as error:
        raise FileNotFoundError(
            f"CIFAR-10 is needed, as {_GRAY}, {_ARCHIVE} or a folder {_FOLDER} (the binary "
            "version; the pickled one is not read), and keras.datasets.cifar10 could not download "
            "it. Put one of them into a folder, and pass that as `data_dir` or name it in the "
            f"environment variable KERAS_DSS_DATA_DIR. Received: folder {folder}, error: {error}"
        ) from error
    return {
        part: (to_gray(images).reshape(-1, MAX_LENGTH), labels.ravel().astype(np.uint8))
        for part, (images, labels) in zip(("train", "test"), parts, strict=True)
    }
