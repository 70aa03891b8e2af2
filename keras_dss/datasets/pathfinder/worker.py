"""A process that draws Pathfinder images into files: one of those that work in parallel.

    python -P worker.py SIZE SEED SPLIT WORKER WORKERS CONTOUR_LENGTH HEIGHT FILE FILE [FILE]

It imports its neighbours without importing the package, which would import Keras and its backend.
"""

import os
import sys
import types
from pathlib import Path

import numpy as np


def write_rows(path, first, values):
    """Writes rows into a file of format .npy, from row `first` on."""
    rows = np.load(path, mmap_mode="r")
    with open(path, "r+b") as file:  # not through the map: a full disk is an error, not a crash
        file.seek(rows.offset + first * rows.strides[0])
        file.write(np.ascontiguousarray(values).data)


def main(size, seed, split, worker, workers, contour_length, height, *paths):
    """Draws every chunk whose number is `worker` modulo `workers`; prints how many images.

    The files are those of images, labels, and labels of pixels if there is a third.
    """
    here = Path(__file__).parent
    names = ("keras_dss.datasets.pathfinder", "keras_dss.datasets", "keras_dss")
    for name, folder in zip(names, (here, *here.parents), strict=False):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from keras_dss.datasets.pathfinder.generator import generate_chunk
    from keras_dss.datasets.pathfinder.settings import SETTINGS, Easier

    settings = SETTINGS[int(size)]
    grade = [None if text == "None" else int(text) for text in (contour_length, height)]
    easier = Easier(*grade) if any(grade) else None
    examples = np.load(paths[0], mmap_mode="r").shape[0]
    for chunk in range(int(worker), -(-examples // settings.chunk), int(workers)):
        arrays = generate_chunk(
            settings, int(seed), int(split), chunk, easier, step_labels=len(paths) > 2
        )
        first = chunk * settings.chunk
        count = min(settings.chunk, examples - first)
        for path, array in zip(paths, arrays, strict=True):
            write_rows(path, first, array[:count])
        os.write(sys.stdout.fileno(), b"%d\n" % count)  # whole lines, whoever else writes


if __name__ == "__main__":
    main(*sys.argv[1:])
