"""Row `memory_of_batches`: what a step holds whatever the batch, and what for each sequence of it.

The block and the memory are those of the row `peers`. Every number of sequences has a process of
its own; a line through their memory gives a part that does not depend on them, and a part of each,
counted in tensors (B, L, H).
"""

import dataclasses

import numpy as np

from benchmarks.performance.peers import FIRST_STEP, START_TIMEOUT, memory, peak
from benchmarks.performance.turns import Worker, WorkerError
from benchmarks.performance.work import FLOAT

BATCHES = (4, 8, 16, 32, 64)
STEPS = 6


def measure(size, batches, candidates, console):
    """The bytes of each candidate at each number of sequences, or an error."""
    rows = []
    for candidate in candidates:
        row = {"name": candidate.name, "group": candidate.group, "bytes": {}}
        for batch in batches:
            found = one(candidate, dataclasses.replace(size, batch=batch))
            if isinstance(found, str):
                row["error"] = found
                break
            row["bytes"][str(batch)] = found
            console.print(f"  {candidate.name}, B{batch}: {found / 2**20:.0f} MiB", highlight=False)
        rows.append(row)
    return {"size": size.as_dict(), "candidates": rows}


def one(candidate, size):
    """Bytes of the steps of a candidate, or an error."""
    settle = {"load": f"{candidate.side}:settle", "arguments": {"compiled": candidate.compiled}}
    block = {
        "load": f"{candidate.side}:block",
        "arguments": candidate.options | {"size": size.as_dict()},
    }
    with Worker(candidate.backend, environment=candidate.environment) as worker:
        try:
            worker.ask(START_TIMEOUT, **settle)
            before = worker.ask(START_TIMEOUT, **block)["import_memory"]
            worker.ask(START_TIMEOUT, **FIRST_STEP)
            worker.ask(memory="reset")
            worker.ask(START_TIMEOUT, run="step", seconds=60.0, most=STEPS)
        except WorkerError as error:
            return str(error)
        taken = {"before": before} | peak(worker)
    return memory({"memory": taken})


def line(row, size):
    """Bytes that do not depend on the batch, and tensors (B, L, H) that do: least squares."""
    batches = np.array([float(batch) for batch in row["bytes"]])
    slope, fixed = np.polyfit(batches, np.array([*row["bytes"].values()], float), 1)
    return float(fixed), float(slope / (FLOAT * size.length * size.features))
