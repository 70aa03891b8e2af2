"""What the machine can do at most, measured inside a worker."""

import numpy as np
import scipy.fft
import torch

from benchmarks.performance.work import FFT, GEMM, TRIAD


def limits():
    """Functions whose times give GFLOP/s, GB/s and flop/s of FFTs; see `rates`."""
    a, b = torch.randn(2, GEMM, GEMM)
    x, y, z = torch.randn(3, TRIAD)
    rows = torch.randn(*FFT)
    array = rows.numpy()
    return {
        "gemm": lambda: torch.matmul(a, b),
        "triad": lambda: torch.add(x, y, alpha=3.0, out=z),
        "rfft torch": lambda: torch.fft.rfft(rows),
        "rfft scipy": lambda: scipy.fft.rfft(array, workers=-1),
        "rfft numpy": lambda: np.fft.rfft(array),
    }
