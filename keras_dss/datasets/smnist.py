"""Sequential MNIST: an image read pixel by pixel, row by row, as a sequence of 784 steps.

Ten classes, 55,000 / 5,000 / 10,000 examples. The validation examples are held out from the 60,000
training images by a fixed permutation; training images keep their order.

Source: LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document Recognition",
1998; as a sequence: Le, Jaitly & Hinton, 2015, arXiv 1504.00941.
"""

import numpy as np

from keras_dss.datasets.archives import read_arrays
from keras_dss.datasets.labels import check_labels
from keras_dss.datasets.paths import check_split, data_folder
from keras_dss.datasets.provenance import Provenance, describe_file
from keras_dss.datasets.splits import hold_out

KIND = "classification"
NUM_CLASSES = 10
CHANNELS = 1
VOCABULARY_SIZE = None  # pixels are real numbers, not tokens
MAX_LENGTH = 784
SPLITS = {"train": 55_000, "validation": 5_000, "test": 10_000}
FILE = "mnist.npz"

# Copies whose content was compared with the original files.
_KNOWN = {
    "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64": (
        "A file mnist.npz rebuilt from other copies; its images and labels are byte for byte those "
        "of the original files (train-images-idx3-ubyte, t10k-images-idx3-ubyte and their labels).",
        (),
    )
}

# Mean and standard deviation of the pixels, 0 to 255, of the 60,000 training images.
MEAN, STANDARD_DEVIATION = 33.318421, 78.567490


def load(split, data_dir=None):
    """Returns one split as arrays `(x, y)`.

    The file `mnist.npz` is read from `data_dir` if it is there, otherwise by
    `keras.datasets.mnist`, which downloads it once.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.

    Returns:
        x: float32 (n, 784, 1), see `encode`.
        y: uint8 (n,), digits 0 to 9.

    Raises:
        ValueError: for an unknown split, or a damaged file.
        FileNotFoundError: if the file is neither there nor can be downloaded.
    """
    split = check_split(split, SPLITS)
    images, labels = _read("test" if split == "test" else "train", data_dir)
    if split != "test":
        train, validation = hold_out(len(labels), SPLITS["validation"], full=60_000)
        chosen = train if split == "train" else validation
        images, labels = images[chosen], labels[chosen]
    return encode(images), labels.astype(np.uint8)


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    folder = data_folder(data_dir)
    source, defects = "MNIST as downloaded by keras.datasets.mnist.", ()
    if folder is not None and (folder / FILE).exists():
        source, defects = describe_file(folder / FILE, _KNOWN)
    return Provenance(
        "MNIST (LeCun, Bottou, Bengio and Haffner, 1998) as standardised sequences of 784 pixels: "
        "55,000 images for training, 5,000 of the training images for validation, 10,000 for test.",
        source,
        defects,
    )


def encode(raw):
    """Returns images as standardised sequences, row by row: (pixel - MEAN) / STANDARD_DEVIATION.

    Args:
        raw: uint8 (n, 28, 28).

    Returns:
        float32 (n, 784, 1).

    Raises:
        ValueError: for another shape or type.

    Example:

    >>> encode(np.zeros((2, 28, 28), "uint8")).shape
    (2, 784, 1)
    """
    raw = np.asarray(raw)
    if raw.shape[1:] != (28, 28) or raw.dtype != np.uint8:
        raise ValueError(f"Expected uint8 images (n, 28, 28). Received: {raw.dtype} {raw.shape}")
    pixels = raw.reshape(len(raw), MAX_LENGTH, 1).astype(np.float32)
    pixels -= np.float32(MEAN)
    pixels /= np.float32(STANDARD_DEVIATION)
    return pixels


def _read(part, data_dir):
    """Images and labels of the `part`, "train" or "test", of the original data."""
    folder = data_folder(data_dir)
    if folder is None or not (folder / FILE).exists():
        return _download(folder)[part]
    path, keys = folder / FILE, [f"x_{part}", f"y_{part}"]
    images, labels = read_arrays(path, keys, path)
    labels = check_labels(labels, NUM_CLASSES, f"{path}, array {keys[1]}")
    if images.shape != (len(labels), 28, 28) or images.dtype != np.uint8:
        raise ValueError(
            f"File {path}, array {keys[0]}: expected uint8 ({len(labels)}, 28, 28). "
            f"Received: {images.dtype} {images.shape}"
        )
    return images, labels


def _download(folder):
    import keras

    try:
        train, test = keras.datasets.mnist.load_data()
    except Exception as error:
        raise FileNotFoundError(
            f"File {FILE} (arrays x_train, y_train, x_test, y_test) is needed, and "
            "keras.datasets.mnist could not download it. Put it into a folder, and pass that as "
            "`data_dir` or name it in the environment variable KERAS_DSS_DATA_DIR. "
            f"Received: folder {folder}, error: {error}"
        ) from error
    return {"train": train, "test": test}
