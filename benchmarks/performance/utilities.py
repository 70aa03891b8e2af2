"""Row `utilities`: compression, loading, drawing of data, and the import of the package."""

import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.performance.turns import Worker, WorkerError, take_turns

IMPORTS = """
import json, sys, time
import keras
before, start = set(sys.modules), time.perf_counter()
import keras_dss
seconds = time.perf_counter() - start
tops = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"seconds": seconds, "packages": sorted(tops)}))
"""


def measure(backends, settings, repetitions):
    times, errors = {}, {}
    for function in ("compression", "loading", "drawing"):
        with Worker("tensorflow") as worker:
            try:
                answer = worker.ask(load=f"utilities_side:{function}", arguments={})
                contestants = {name: (worker, name) for name in answer["functions"]}
                times |= take_turns(contestants, **settings)
            except WorkerError as error:
                errors[function] = str(error)
    imports = {backend: import_seconds(backend, repetitions) for backend in backends}
    return {"times": times, "errors": errors, "imports": imports}


def import_seconds(backend, repetitions):
    """Seconds of `import keras_dss` after `import keras`, and the packages that it adds."""
    environment = dict(os.environ, KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")
    command = [sys.executable, "-c", IMPORTS]
    answers = []
    for _ in range(repetitions + 1):  # the first one fills the file cache
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1][:200]}
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = [answer["seconds"] for answer in answers[1:]]
    return {
        "median": float(np.median(seconds)),
        "min": min(seconds),
        "packages": answers[-1]["packages"],
    }
