"""Rates of the machine, and the flops and bytes of a training step of one DSS block.

Least work: each stage reads and writes each of its tensors once, forward and backward, in float32.
A real FFT of M points takes 2.5 M log2 M flops; M is `keras_dss.ops.fft_length(L)`.
"""

import math

FLOAT = 4  # bytes
GEMM = 2048  # n of an (n, n) by (n, n) product
TRIAD = 2**25  # floats of each of three arrays
FFT = (512, 4096)  # rows and points of a batch of real transforms


def stages(batch, features, states, length, fft_length):
    """Dict from stage to `{"flops", "bytes", "kind"}` of one step."""
    tokens = batch * length
    field = FLOAT * tokens * features  # bytes of one (B, L, H)
    spectrum = FLOAT * (fft_length + 2) * features * batch
    transform = 2.5 * fft_length * math.log2(fft_length)
    taps = features * length
    block = 2 ** round(math.log2(math.sqrt(length)))
    powers = 2 * features * states * (block + length / block)
    return {
        # rfft u, irfft y; rfft dy, irfft du; rfft k, irfft dk
        "FFTs": {
            "flops": transform * (4 * batch * features + 2 * features),
            "bytes": 4 * (field + spectrum),
            "kind": "fft",
        },
        # y = u k; du = dy conj k; dk = sum_b dy conj u
        "spectral products": {
            "flops": 3 * 8 * batch * features * (fft_length / 2 + 1),
            "bytes": 7 * spectrum,
            "kind": "elementwise",
        },
        # (L/b, 2N) (2N, b) of each feature; two products backward
        "kernel": {
            "flops": 3 * 2 * taps * 2 * states + 3 * 30 * powers,
            "bytes": 2 * FLOAT * (taps + 4 * powers),
            "kind": "gemm",
        },
        "dense": {
            "flops": 3 * 2 * tokens * features**2,
            "bytes": 5 * field,
            "kind": "gemm",
        },
        # norm 2 + 4 fields, D u 2 + 3, GELU 2 + 3, residual 3 + 2, loss 2 + 3
        "elementwise": {
            "flops": 80 * tokens * features,
            "bytes": 26 * field,
            "kind": "elementwise",
        },
    }


def least_seconds(stage, rates):
    """Time of a stage at the machine's rates: the later of arithmetic and memory."""
    fft = max(rate for name, rate in rates.items() if name.startswith("rfft"))
    arithmetic = {"fft": fft}.get(stage["kind"], rates["gemm"])
    return max(stage["flops"] / arithmetic, stage["bytes"] / rates["triad"])


def rates(times):
    """Rates from the shortest times: `gemm` flop/s, `triad` byte/s, `rfft ...` flop/s."""
    work = {"gemm": 2 * GEMM**3, "triad": 3 * FLOAT * TRIAD}
    transforms = 2.5 * FFT[0] * FFT[1] * math.log2(FFT[1])
    return {
        name: work.get(name, transforms) / entry["min"]
        for name, entry in times.items()
        if "min" in entry
    }
