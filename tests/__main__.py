"""Runs the tests on every backend: everything on the first, what uses Keras on the others.

python -m tests [pytest arguments]
"""

import os
import subprocess
import sys
import time

BACKENDS = ("tensorflow", "jax", "torch")
# What does not touch a backend runs once.
WITHOUT_BACKEND = ("tests/ssm", "tests/datasets", "tests/cli")


def main(arguments):
    failed = []
    for backend in BACKENDS:
        skipped = WITHOUT_BACKEND if backend != BACKENDS[0] else ()
        ignored = [f"--ignore={path}" for path in skipped]
        print(f"\n=== {backend} ===", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", *ignored, *arguments]
        result = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend})
        print(f"=== {backend}: {time.monotonic() - began:.0f} s", flush=True)
        if result.returncode:
            failed.append(backend)
    if failed:
        print(f"Failed on {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
