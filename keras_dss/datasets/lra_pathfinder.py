"""Pathfinder of Long Range Arena: are two markers ends of the same dashed contour?

Images of 32 x 32 pixels with two long contours and short distractors, read pixel by pixel, row by
row, as a sequence of 1024 steps.

Two classes, 160,000 / 20,000 / 20,000 examples, as many of either class. An official copy is read
where the user has one, otherwise images are drawn with the published settings.

Source: Linsley et al., "Learning long-range spatial dependencies with horizontal gated recurrent
units", 2018, arXiv 1805.08315; Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
"""

from keras_dss.datasets.grades import Grades
from keras_dss.datasets.pathfinder import files
from keras_dss.datasets.standardised import Standardised

KIND = "classification"
NUM_CLASSES = 2
CHANNELS = 1
VOCABULARY_SIZE = None  # pixels are real numbers, not tokens
SIZE = 32
MAX_LENGTH = SIZE**2
SPLITS = files.SPLITS
GRADES = Grades(
    "contour_length", files.CONTOUR_LENGTHS, "drawn images, most dashes of a contour",
    drawn_labels=True,
)  # fmt: skip
STEP_WEIGHTS = (0.1, 1.0, 1.0)  # of the labels of steps, in a training

# Mean and standard deviation of the pixels, 0 to 255, of the first 40,000 images drawn for training
# with seed 0 (python -m benchmarks.pathfinder --part=pixels). Official images are standardised
# with the same numbers.
MEAN, STANDARD_DEVIATION = 23.7577, 51.3736


def load(
    split, data_dir=None, *, examples=None, cache_dir=None, seed=0, workers=None, progress=True,
    contour_length=None, step_labels=False,
):  # fmt: skip
    """Returns one split as arrays `(x, y)`, or `(x, y, z)` with `step_labels`.

    An official copy is read if `data_dir` holds one: the folders `imgs` and `metadata` in
    `pathfinder32/curv_contour_length_14`, in `curv_contour_length_14`, or directly. It is divided
    80 : 10 : 10 by a fixed permutation, and converted once into `cache_dir` if it is large.

    Otherwise images are drawn: from `seed` alone, whatever the number of workers, into `cache_dir`.
    The files there are memory-mapped.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder of the official copy. Defaults to the environment variable
            `KERAS_DSS_DATA_DIR`.
        examples: only the first so many examples of the split, without drawing the others.
        cache_dir: folder for what is drawn or converted. Defaults to the environment variable
            `KERAS_DSS_CACHE_DIR`, else `keras_dss` in the folder of Keras (`~/.keras`).
        seed: non-negative int, for drawn images.
        workers: processes that draw. Defaults to the number of processors.
        progress: whether to show a progress bar, on a terminal.
        contour_length: int from 2 to 14, for easier images, always drawn, that a training may begin
            with: in turn, contours have 2 to so many dashes, with none to half as many distractors.
            None: the task's own images, with 14.
        step_labels: whether to return labels of the pixels too, of images that are then always
            drawn: an easier question that a training may ask beside the task's own.

    Returns:
        x: `Standardised` view (n, 1024, 1) of uint8 pixels, row by row, see `encode`.
        y: uint8 (n,), 1 if both markers are on the same contour.
        z: with `step_labels`, uint8 (n, 1024): 2 where a dash of the contour passes on which the
            first marker lies, in the order of the pixels, 1 where another dash does, else 0.

    Raises:
        ValueError: for an unknown split or contour length, more examples than there are, or a
            malformed official file, which is named.
        FileNotFoundError: if a part of an official copy is missing.

    Example:

    >>> from keras_dss.datasets import lra_pathfinder
    >>> x, y = lra_pathfinder.load("test", examples=4)
    >>> x.shape, x.dtype, y.shape
    ((4, 1024, 1), dtype('float32'), (4,))
    """
    x, *labels = files.load(
        "lra_pathfinder", SIZE, split, data_dir, examples, cache_dir, seed, workers, progress,
        contour_length, step_labels=step_labels,
    )  # fmt: skip
    return Standardised(x, MEAN, STANDARD_DEVIATION), *labels


def provenance(data_dir=None, seed=0):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    return files.provenance(SIZE, data_dir, seed)


def encode(raw):
    """Returns images as standardised sequences, row by row: (pixel - MEAN) / STANDARD_DEVIATION.

    Args:
        raw: uint8 (n, 32, 32).

    Returns:
        float32 (n, 1024, 1).

    Raises:
        ValueError: for another shape or type.

    Example:

    >>> import numpy as np
    >>> encode(np.zeros((2, 32, 32), "uint8")).shape
    (2, 1024, 1)
    """
    return files.encode(raw, SIZE, MEAN, STANDARD_DEVIATION)
