"""Regression from sequences, and forecasts of them."""

import keras

from keras_dss.layers import Readout
from keras_dss.layers.parameters import positive_integer
from keras_dss.models.stack import (
    DSSModel,
    apply_blocks,
    check_downsampling,
    choose_blocks,
    encoder,
)


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSRegressor(DSSModel):
    """Real numbers from a sequence of real numbers: a vector, a forecast, or one vector a step.

    Args:
        num_outputs: number of quantities to predict.
        features, num_blocks, state_size, blocks, dtype, name, **options: as in `DSSClassifier`.
        channels: inputs are floats (batch, length, channels).
        mask_zeros: whether zeros at the end of the inputs are padding, to be masked.
        horizon: number of future steps to predict; None for a single vector.
        readout: `"last"`, `"mean"` or `"first"`, or None for an output at every step.
        downsampling: as in `DSSClassifier`; it needs a readout.
        relative: whether inputs and outputs are taken relative to the last input, so that the model
            predicts changes; needs as many outputs as channels and inputs that end without padding.

    Returns:
        A functional `keras.Model` from inputs to float32 (batch, num_outputs), with a horizon
        (batch, horizon, num_outputs), without a readout (batch, length, num_outputs).

    Raises:
        TypeError: for an unknown option, or any beside `blocks`.
        ValueError: for contradictory arguments, or a horizon that is not a positive int.

    Example:

    >>> model = DSSRegressor(7, features=16, num_blocks=1, channels=7, horizon=24, relative=True)
    >>> tuple(model(keras.ops.ones((2, 96, 7))).shape)
    (2, 24, 7)

    Source of `relative`: Zeng et al., "Are Transformers Effective for Time Series Forecasting?",
    2023, arXiv 2205.13504.
    """

    def __init__(
        self,
        num_outputs=1,
        features=64,
        num_blocks=4,
        state_size=64,
        *,
        channels=1,
        mask_zeros=False,
        horizon=None,
        readout="last",
        relative=False,
        downsampling=None,
        blocks=None,
        dtype=None,
        name=None,
        **options,
    ):
        if horizon is not None:
            horizon = positive_integer("horizon", horizon)
        if readout is None and horizon is not None:
            raise ValueError(
                "An output at every step (readout=None) leaves no room for a horizon. "
                f"Received: readout=None, horizon={horizon}"
            )
        if relative and (num_outputs != channels or mask_zeros or readout is None):
            raise ValueError(
                "`relative` needs as many outputs as channels, a readout, and no mask_zeros. "
                f"Received: num_outputs={num_outputs}, channels={channels}, readout={readout!r}, "
                f"mask_zeros={mask_zeros}"
            )
        if downsampling is not None and readout is None:
            raise ValueError(
                "An output at every step (readout=None) needs every step of the input. "
                f"Received: readout=None, downsampling={downsampling!r}"
            )
        dtype = keras.dtype_policies.get(dtype)
        blocks = choose_blocks(blocks, state_size, num_blocks, dtype, options)
        downsampling = check_downsampling(downsampling, blocks)
        if relative:
            inputs = keras.Input((None, channels), name="inputs")
            last = inputs[:, -1:]  # (B, 1, C)
            x = keras.layers.Dense(features, name="encoder", dtype=dtype)(inputs - last)
        else:
            inputs, x = encoder(features, None, channels, mask_zeros, dtype)
        x = apply_blocks(x, blocks, dtype, downsampling)  # (B, L, H)
        if readout is not None:
            x = Readout(readout, name="readout", dtype=dtype)(x)  # (B, H)
        size = num_outputs * (horizon or 1)
        outputs = keras.layers.Dense(size, name="outputs", dtype="float32")(x)
        if horizon is not None:
            outputs = keras.layers.Reshape((horizon, num_outputs), dtype="float32")(outputs)
        if relative:
            outputs = outputs + (last if horizon is not None else last[:, 0])
        config = {
            "num_outputs": num_outputs,
            "features": features,
            "channels": channels,
            "mask_zeros": mask_zeros,
            "horizon": horizon,
            "readout": readout,
            "relative": relative,
            "downsampling": downsampling,
        }
        super().__init__(inputs, outputs, blocks=blocks, config=config, dtype=dtype, name=name)
