"""Runs the tests on every backend: everything on the first, what uses Keras on the others.

python -m tests [pytest arguments]

Two backends run side by side where there are two cores; each prints what it found when it is done.
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
# What does not touch a backend runs once.
WITHOUT_BACKEND = ("tests/ssm", "tests/datasets", "tests/cli", "tests/benchmarks")

# Threads of OpenMP that wait for each other in turns slow torch down a hundredfold when others run.
THREADS = {"OMP_NUM_THREADS": "1"}
LINE_SECONDS = 60.0


def run(backend, arguments):
    """Returns whether the tests pass on a backend, and prints what pytest says."""
    skipped = WITHOUT_BACKEND if backend != BACKENDS[0] else ()
    ignored = [f"--ignore={path}" for path in skipped]
    print(f"=== {backend}: begun", flush=True)
    began = time.monotonic()
    options = ["-q", "-p", "no:cacheprovider", "--durations=15", *ignored]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output.txt"
        with open(path, "w") as output:
            environment = os.environ | {"KERAS_BACKEND": backend} | THREADS
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
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as workers:
        passed = list(workers.map(lambda backend: run(backend, arguments), BACKENDS))
    failed = [name for name, good in zip(BACKENDS, passed, strict=True) if not good]
    if failed:
        print(f"Failed on {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
