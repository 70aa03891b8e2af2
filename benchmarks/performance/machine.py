"""Rows `limits` and `profile`: what the machine can do, and where a training step goes."""

from benchmarks.performance.own import compared

PARTS = (
    "optimizer",
    "kernel",
    "convolution",
    "GELU, dense, GLU",
    "normalization",
    "D, residual, loss, dispatch",
)


def limits(settings):
    """Times of a product of matrices, a triad and real FFTs of several libraries."""
    return {"times": compared("torch", "limits_side:limits", {}, settings)}


def profile(backends, sizes, settings):
    """Seconds of a step and of each of its parts, on each backend and at each size."""
    rows = []
    for backend in backends:
        for size in sizes:
            arguments = {"size": size.as_dict()}
            times = compared(backend, "profile_side:steps", arguments, settings)
            row = {"backend": backend, "size": size.as_dict(), "times": times}
            error = first_error(times)
            rows.append(row | ({"error": error} if error else {"parts": parts(times)}))
    return {"entries": rows}


def first_error(times):
    """The error of a worker, or of the first of its functions that failed; None if all ran."""
    if "error" in times:
        return times["error"]
    return next((entry["error"] for entry in times.values() if "error" in entry), None)


def parts(times):
    """Dict from part to seconds: what the step is shorter by without it; they sum to the step."""
    medians = [times[name]["median"] for name in ("", *PARTS[:-1])] + [0.0]
    differences = [whole - rest for whole, rest in zip(medians, medians[1:], strict=False)]
    return dict(zip(PARTS, differences, strict=True))
