"""What a model was trained on, or a command ran on, in words."""

import os
import platform
from pathlib import Path

import keras


def hardware():
    """Returns the accelerators where there are any, else the processor, with the cores to use."""
    names = _accelerators()
    if names:
        return f"{len(names)} x {names[0]}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _accelerators():
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if backend == "torch":
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if backend == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        found = tf.config.list_physical_devices("GPU")
        return [details(device).get("device_name", "GPU") for device in found]
    return []


def _processor():
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
