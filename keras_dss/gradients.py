"""Functions that bring a gradient of their own, on every backend."""

import functools

import keras
import numpy as np


def with_gradient(function, plain, tensors):
    """The value of `function` at some tensors, differentiable by the gradient that it brings.

    On JAX, products of matrices in it are those of float32 on accelerators too.

    Args:
        function: takes the tensors; returns `(value, gradient)`, where `gradient(upstream)` is a
            list of one tensor, or None, for each of them.
        plain: takes the tensors; returns the same value by operations that a backend
            differentiates. Gradients of higher order are taken of it on torch.
        tensors: list of float tensors, and of integer ones without a gradient.

    Returns:
        The value, one tensor.

    >>> from keras import ops
    >>> square = lambda x: (x * x, lambda upstream: [2.0 * x * upstream])
    >>> float(with_gradient(square, lambda x: x * x, [ops.convert_to_tensor(3.0)]))
    9.0
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # not as variables, for which a gradient would have to give gradients apart
        return tf.custom_gradient(function)(*map(tf.convert_to_tensor, tensors))
    if backend == "jax":
        return _jax(function, tensors)
    return _torch().apply(function, plain, *tensors)


def _jax(function, tensors):
    import jax

    exact = functools.partial(jax.default_matmul_precision, "float32")  # and no TF32

    def completed(*tensors):
        with exact():
            value, gradient = function(*tensors)

        def complete(upstream):
            with exact():
                gradients = gradient(upstream)
            return tuple(
                zeros(x) if found is None else found
                for x, found in zip(tensors, gradients, strict=True)
            )

        return value, complete

    def zeros(x):
        differentiable = jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
        return jax.numpy.zeros_like(x) if differentiable else np.zeros(x.shape, jax.dtypes.float0)

    return jax.custom_gradient(completed)(*tensors)


@functools.cache
def _torch():
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context, function, plain, *tensors):
            value, context.gradient = function(*tensors)
            context.plain = plain
            context.save_for_backward(*tensors)
            return value

        @staticmethod
        def backward(context, upstream):
            if not torch.is_grad_enabled():
                return None, None, *context.gradient(upstream)
            gradients = differentiable_gradients(context.plain, context.saved_tensors, upstream)
            return None, None, *gradients

    return Function


def differentiable_gradients(function, tensors, upstream):
    """On torch: gradients to tensors that may be differentiated again, None for those without.

    Of aliases of the tensors: one of them may depend on another one, and that is no part of them.
    """
    import torch

    aliases = [x.view_as(x) for x in tensors]
    wanted = [x for x in aliases if x.requires_grad]
    value = function(*aliases)
    found = iter(torch.autograd.grad(value, wanted, upstream, create_graph=True, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in aliases]
