"""Runs the tests on every backend, and once what does not depend on it.

python -m tests [pytest arguments]

The backends run side by side; each prints what it found when it is done.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
# What runs on one backend alone: what NumPy computes, whatever the backend, and searches and
# recipes, which train many small models, each of which TensorFlow and JAX trace anew: there a few
# of each kind do, and the command line's own searches.
ONCE = {
    "keras_dss/tuner": "torch",
    "tests/ssm": "torch",
    "tests/compression/test_allocation.py": "torch",
    "tests/compression/test_budget.py": "torch",
    "tests/compression/test_methods.py": "torch",
    "tests/compression/test_model_kinds.py": "torch",
    "tests/compression/test_report.py": "torch",
    "tests/compression/test_softmax.py": "torch",
    "tests/compression/test_tolerance.py": "torch",
    "tests/report": "torch",
    "tests/datasets": "torch",
    "tests/cli": "tensorflow",
    "tests/benchmarks": "torch",
    "tests/test_distribution.py": "torch",
    "tests/test_memory.py": "torch",
    "tests/tuner": "torch",
    "tests/recipes/test_files.py": "torch",
    "tests/recipes/test_published.py": "torch",
    "tests/recipes/test_queue.py": "torch",
    "tests/recipes/test_run.py": "torch",
    "tests/recipes/test_settings.py": "torch",
}

# Threads of OpenMP that wait for each other in turns slow torch down a hundredfold when others run.
THREADS = {"OMP_NUM_THREADS": "1"}
# JAX compiles the same small programs in test after test, and in every process that they start:
# they are kept, and not optimised for the few numbers that they compute.
COMPILING = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}
LINE_SECONDS = 60.0


def run(backend, arguments):
    """Returns whether the tests pass on a backend, and prints what pytest says."""
    ignored = [f"--ignore={path}" for path, chosen in ONCE.items() if chosen != backend]
    print(f"=== {backend}: begun", flush=True)
    began = time.monotonic()
    options = ["-q", "-p", "no:cacheprovider", "--durations=15", *ignored]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output.txt"
        with open(path, "w") as output:
            environment = os.environ | {"KERAS_BACKEND": backend} | THREADS
            if backend == "jax":
                cache = {"JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax")}
                environment |= COMPILING | cache
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LINE_SECONDS)
                break
            done = re.findall(r"\[ *(\d+%)\]", path.read_text())
            print(f"    {backend}: {done[-1] if done else 'collecting'}", flush=True)
        text = path.read_text()
    seconds = time.monotonic() - began
    print(f"\n=== {backend}\n{text}=== {backend}: {seconds:.0f} s", flush=True)
    return process.returncode == 0


def main(arguments):
    with ThreadPoolExecutor(len(BACKENDS)) as workers:
        passed = list(workers.map(lambda backend: run(backend, arguments), BACKENDS))
    failed = [name for name, good in zip(BACKENDS, passed, strict=True) if not good]
    if failed:
        print(f"Failed on {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
