"""What the machine can do at most, measured inside a worker."""

import numpy as np
import scipy.fft
import torch

GEMM = 2048  # n of an (n, n) by (n, n) product
TRIAD = 2**25  # floats of each of three arrays
FFT = (512, 4096)  # rows and points of a batch of real transforms


def limits():
    """Functions whose times give GFLOP/s, GB/s and points/s; see `rates`."""
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


def rates(times):
    """Rates from the shortest times: `gemm` flop/s, `triad` byte/s, `rfft ...` flop/s."""
    work = {"gemm": 2 * GEMM**3, "triad": 12 * TRIAD}
    points = FFT[0] * FFT[1]
    return {
        name: work.get(name, 2.5 * points * np.log2(FFT[1])) / entry["min"]
        for name, entry in times.items()
        if "min" in entry
    }
