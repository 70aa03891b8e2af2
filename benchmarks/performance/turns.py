"""The measuring side: workers over pipes, and functions of several workers timed in turns."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

MEMORY_SHARE = 0.6  # of the available memory: what one worker may take
KEPT = {  # of glibc: what `keras_dss.keep_freed_memory()` does
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
}


def memory_limit():
    """Bytes that one worker may take; what needs more is reported as not fitting."""
    with open("/proc/meminfo") as lines:
        available = next(line for line in lines if line.startswith("MemAvailable"))
    return int(MEMORY_SHARE * 1024 * int(available.split()[1]))


class WorkerError(RuntimeError):
    """What a worker reported, or that it ended or did not answer in time."""


class Worker:
    """A process of `benchmarks.performance.worker`.

    Args:
        backend: KERAS_BACKEND of the process, or None.
        limit: bytes of private memory, `memory_limit()` by default.
        environment: added to that of this process.
    """

    def __init__(self, backend=None, limit=None, environment=()):
        environment = os.environ | dict(environment)
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        environment["BENCHMARK_MEMORY_LIMIT"] = str(limit or memory_limit())
        if backend is not None:
            environment["KERAS_BACKEND"] = backend
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.performance.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )

    def ask(self, timeout=300.0, **request):
        """The answer to one request; WorkerError for an error there, or none within `timeout`."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise WorkerError(self._ending()) from None
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.process.kill()  # its late answer would be taken for that to the next request
            raise WorkerError(f"no answer within {timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(self._ending())
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _ending(self):
        code = self.process.wait()
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip().split("\n")[-1][:200]
        if code < 0:  # as TensorFlow does where it gets no memory
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process ended with code {code}: {last}"

    def close(self):
        with contextlib.suppress(OSError):  # what a worker that has ended did not read
            self.process.stdin.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def summary(times):
    """Median and minimum of times in seconds, with all of them."""
    return {
        "median": float(np.median(times)),
        "min": float(np.min(times)),
        "times": [round(value, 6) for value in times],
    }


def ask_all(workers, requests, timeout, report=lambda name, answer: None, threads=2):
    """Sends each worker its request, some at once.

    Args:
        workers: dict from name to `Worker`. requests: dict from name to the request.
        timeout: seconds for each answer. report: called with each name and answer.
        threads: requests at once.

    Returns:
        dict from name to the answer, or to the `WorkerError`.
    """

    def start(name):
        try:
            answer = workers[name].ask(timeout=timeout, **requests[name])
        except WorkerError as error:
            answer = error
        report(name, answer)
        return name, answer

    with ThreadPoolExecutor(threads) as pool:
        return dict(pool.map(start, workers))


def take_turns(contestants, rounds, seconds, budget, warm=(), timeout=300.0):
    """Times of functions of several workers, measured in turns.

    Each function runs twice for warming up, once if it takes long, and slow ones have fewer turns.

    Args:
        contestants: dict from a key to `(worker, name of its function)`.
        rounds: turns of each. seconds: of one turn, one run at least.
        budget: seconds after which a function has no further turn.
        warm: keys of functions that ran before. timeout: seconds for one turn.

    Returns:
        dict from key to `summary`, or `{"error": text}`.
    """
    errors, times, spent = {}, {key: [] for key in contestants}, dict.fromkeys(contestants, 0.0)

    def turn(key, **request):
        worker, name = contestants[key]
        try:
            answer = worker.ask(timeout=timeout, run=name, **request)["times"]
        except WorkerError as error:
            errors[key] = {"error": str(error)}
            return []
        spent[key] += sum(answer)
        return answer

    for key in contestants:
        if key not in warm:
            turn(key, most=1)
        if key not in errors and spent[key] < budget / 3:
            turn(key, most=1)
        spent[key] = 0.0
    for _ in range(rounds):
        for key in contestants:
            if key not in errors and spent[key] < budget:
                times[key] += turn(key, seconds=seconds)
    return {key: errors.get(key) or summary(times[key]) for key in contestants}
