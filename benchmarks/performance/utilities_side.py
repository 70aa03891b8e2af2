"""What is done around training, run inside a worker."""

import itertools

import keras_dss
from keras_dss import ssm
from keras_dss.datasets.listops_generator import CHUNK, generate_chunk
from keras_dss.datasets.pathfinder import generator
from keras_dss.datasets.pathfinder.settings import SETTINGS

LOADED = ("smnist_n64", "lra_listops_n64", "shakespeare_n64")


def compression():
    """`compress_model` and Hankel singular values of a model like those of Long Range Arena."""
    model = keras_dss.models.DSSClassifier(10, features=128, num_blocks=4, state_size=64)
    published = keras_dss.zoo.load("lra_listops_n64")
    system = model.blocks[0].ssm.to_system()
    return {
        "compress_model, 4 layers of H128, N64 to 16": lambda: keras_dss.compress_model(model, 16),
        "compress_model, lra_listops_n64 to 16": lambda: keras_dss.compress_model(published, 16),
        "Hankel singular values of a layer of H128, N64": lambda: ssm.hankel_singular_values(
            system
        ),
    }


def loading():
    """`zoo.load` of some published models."""
    return {f"zoo.load({name!r})": lambda name=name: keras_dss.zoo.load(name) for name in LOADED}


def drawing():
    """One chunk of data by one process: functions whose names end in their number of samples."""
    chunks = itertools.count()
    functions = {
        f"ListOps, samples: {CHUNK}": lambda: generate_chunk(0, 0, next(chunks)),
    }
    for size in (32, 128):
        settings = SETTINGS[size]
        functions[f"Pathfinder {size} x {size}, samples: {settings.chunk}"] = (
            lambda settings=settings: generator.generate_chunk(settings, 0, 0, next(chunks))
        )
    return functions
