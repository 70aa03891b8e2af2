"""A process that draws Pathfinder images into files: one of those that work in parallel.

    python -P worker.py SIZE SEED SPLIT WORKER WORKERS X_FILE Y_FILE [CONTOUR_LENGTH]

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


def main(size, seed, split, worker, workers, x_path, y_path, contour_length=None):
    """Draws every chunk whose number is `worker` modulo `workers`; prints how many images."""
    here = Path(__file__).parent
    names = ("keras_dss.datasets.pathfinder", "keras_dss.datasets", "keras_dss")
    for name, folder in zip(names, (here, *here.parents), strict=False):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from keras_dss.datasets.pathfinder.generator import generate_chunk
    from keras_dss.datasets.pathfinder.settings import SETTINGS

    settings = SETTINGS[int(size)]
    contour_length = int(contour_length) if contour_length else None
    examples = np.load(x_path, mmap_mode="r").shape[0]
    for chunk in range(int(worker), -(-examples // settings.chunk), int(workers)):
        x, y = generate_chunk(settings, int(seed), int(split), chunk, contour_length)
        first = chunk * settings.chunk
        count = min(settings.chunk, examples - first)
        write_rows(x_path, first, x[:count])
        write_rows(y_path, first, y[:count])
        os.write(sys.stdout.fileno(), b"%d\n" % count)  # whole lines, whoever else writes


if __name__ == "__main__":
    main(*sys.argv[1:])
