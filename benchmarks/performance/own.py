"""Rows `child` and `lengths`: ours against ours, on each backend.

`child` times a block of N = 64 modes against the same block reduced to 8 by `compress_model`, and
published models against their reduced children, in turns in one process. `lengths` times inference
of one classifier on one sequence of 1,024 to 1,048,576 steps, and takes the memory of the longest
in a process of its own; its processes keep the memory of freed tensors.
"""

import math

from benchmarks.performance.turns import KEPT, Worker, WorkerError, take_turns

MODES = 8
PAIRS = (
    {"parent": "etth1_n64", "child": "etth1_n8_bt", "batch": 32, "length": 336},
    {"parent": "shakespeare_n64", "child": "shakespeare_n8_bt", "batch": 16, "length": 1024},
)
MODEL = {"features": 16, "states": 64, "num_blocks": 2}
LENGTHS = tuple(1024 * 4**power for power in range(6))


def compared(backend, function, arguments, settings, environment=()):
    """Times of all functions that a worker offers, in turns; `{"error": text}` if it has none."""
    with Worker(backend, environment=environment) as worker:
        try:
            answer = worker.ask(load=function, arguments=arguments)
        except WorkerError as error:
            return {"error": str(error)}
        return take_turns({name: (worker, name) for name in answer["functions"]}, **settings)


def child(backends, sizes, pairs, settings):
    """Parent and child in sequence mode: entries with `parent ...` and `child ...` times."""
    rows = []
    for backend in backends:
        for size in sizes:
            arguments = {"size": size.as_dict(), "modes": MODES}
            times = compared(backend, "models_side:reduced_block", arguments, settings)
            rows.append({"backend": backend, "what": f"block, {size.name}", "times": times})
        for pair in pairs:
            what = f"{pair['child']}, B{pair['batch']} L{pair['length']}"
            times = compared(backend, "models_side:zoo_pair", pair, settings)
            rows.append({"backend": backend, "what": what, "times": times})
    return {"modes": MODES, "entries": rows}


def lengths(backends, chosen, settings):
    """Seconds at each length, c(L) = seconds / (L log2 L), and memory of the longest.

    `transforms` are the costs of the library's FFTs alone, of as many features.
    """
    rows = []
    for backend in backends:
        arguments = MODEL | {"lengths": chosen}
        times = compared(backend, "models_side:classifier", arguments, settings, KEPT)
        row = {"backend": backend, "times": times}
        if "error" not in times:
            row |= {"costs": costs(times)}
        arguments = {"lengths": chosen, "features": MODEL["features"]}
        found = compared(backend, "models_side:transforms", arguments, settings, KEPT)
        if "error" not in found:
            row |= {"transforms": costs(found)}
        rows.append(row | {"memory": longest_memory(backend, chosen[-1])})
    return {"model": MODEL, "lengths": list(chosen), "entries": rows}


def costs(times):
    """Nanoseconds / (L log2 L) of each length."""
    return {
        length: 1e9 * entry["median"] / (int(length) * math.log2(int(length)))
        for length, entry in times.items()
        if "median" in entry
    }


def growth(costs):
    """The largest cost over that of any shorter length: 1 where nothing grows beyond L log L."""
    values = [costs[length] for length in sorted(costs, key=int)]
    return max(value / min(values[: i + 1]) for i, value in enumerate(values))


def longest_memory(backend, length):
    """Bytes: resident after the imports, and the highest in two inferences, compiling included."""
    with Worker(backend, environment=KEPT) as worker:
        try:
            arguments = MODEL | {"lengths": [length]}
            answer = worker.ask(load="models_side:classifier", arguments=arguments)
            worker.ask(memory="reset")
            worker.ask(run=str(length), most=2)
            peak = worker.ask(memory="peak")["peak"]
        except WorkerError as error:
            return {"error": str(error)}
    return {"imports": answer["import_memory"], "peak": peak}
