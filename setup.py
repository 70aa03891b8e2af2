"""Distribution `keras-dss`: the package, and the published models of zoo/ inside it."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = {}
exec((HERE / "keras_dss" / "version.py").read_text(), VERSION)

JAX = ["jax>=0.10"]
TORCH = ["torch==2.13.0"]
TEST = ["pytest>=8", "hypothesis>=6.100", "mpmath>=1.3", "dill>=0.3.8"]

setup(
    name="keras-dss",
    version=VERSION["__version__"],
    description="Long-sequence state space models in Keras, and small ones",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["keras_dss", "keras_dss.*"]), "keras_dss._zoo_data"],
    package_dir={"keras_dss._zoo_data": "zoo"},
    package_data={
        "keras_dss._zoo_data": [
            "*/config.json",
            "*/model.weights.h5",
            "*/card.json",
            "*/pin.npz",
        ],
        "keras_dss.datasets": ["tfds_builders/**/*"],
    },
    install_requires=[
        "absl-py>=2.1",
        "h5py>=3.11",
        "keras>=3.15",
        "keras-tuner[bayesian]>=1.4.8",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "pillow>=11.0",
        "rich>=13.7",
        "scipy>=1.14",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.10",
        # imported by keras-tuner and tensorflow-datasets, declared by neither
        "importlib_resources>=6.0",
        "tensorboard>=2.20",
        # one thread per small matrix product: the reductions run on all cores by themselves
        "threadpoolctl>=3.5",
    ],
    extras_require={
        "jax": JAX,
        "torch": TORCH,
        "test": [*JAX, *TORCH, *TEST],
        "dev": [*JAX, *TORCH, *TEST, "import-linter>=2.1", "pymor>=2025.1", "ruff>=0.9"],
    },
    entry_points={"console_scripts": ["keras-dss = keras_dss.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
