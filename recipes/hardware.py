"""What a training ran on, in words, for the model's card."""

import os
import platform
from pathlib import Path

import keras


def hardware():
    """Return the accelerator where there is one, else the processor and the number of its cores."""
    return _accelerator() or f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


def _accelerator():
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        names = [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    elif backend == "torch":
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    else:
        import tensorflow as tf

        details = map(
            tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU")
        )
        names = [detail.get("device_name", "GPU") for detail in details]
    return f"{len(names)} x {names[0]}" if names else None


def _processor():
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
