"""Settings of every test run: quiet backends on the CPU, the same seed for each test."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import keras
import pytest

# The same examples each time; `--hypothesis-profile=default` draws new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Frees what JAX compiled for a module: a process may map 65,530 pieces of memory, no more."""
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
