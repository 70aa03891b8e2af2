"""Where tensors are."""

import functools

import keras


def on_cpu(x):
    """Whether a tensor is computed on a processor rather than an accelerator."""
    backend = keras.backend.backend()
    if backend == "torch":
        return getattr(getattr(x, "device", None), "type", "cpu") == "cpu"
    return _without_accelerator(backend)


@functools.cache
def _without_accelerator(backend):
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
