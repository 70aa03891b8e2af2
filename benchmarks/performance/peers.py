"""Row `peers`: one residual block, forward and training step, in time and memory.

The block is x + dense(gelu(mixer(norm(x)))), in float32; a step is forward, mean square error
against a target of the same shape, backward and an AdamW update. Memory is the highest
resident memory during timed steps beyond that of a process that has imported everything and trained
a dense layer of eight weights in the same way.
"""

import contextlib
import math

from rich.table import Table

from benchmarks.performance.turns import Worker, WorkerError, ask_all, memory_limit, take_turns

PASSES = ("step", "forward")
START_TIMEOUT = 600.0  # seconds for building, and for the first step with its compilation
FIRST_STEP = {"run": "step", "most": 1}


def measure(sizes, candidates, console, keep, **settings):
    """A list with one entry a size; `keep` is called with what there is of it after each."""
    results = []
    for size in sizes:
        present = [c for c in candidates if size.length <= (c.longest or size.length)]
        console.print(f"[bold]{size.name}[/bold]: {len(present)} processes start and compile")
        limit = memory_limit()
        rows = measure_size(size, present, console, limit, **settings)
        results.append({"size": size.as_dict(), "memory_limit": limit, "candidates": rows})
        keep(results)
        console.print(table(results[-1]))
    return results


def measure_size(size, candidates, console, limit, **settings):
    rows = {
        c.name: {"name": c.name, "group": c.group, "backend": c.backend, "note": c.note}
        for c in candidates
    }

    def report(name, answer):
        if isinstance(answer, WorkerError):
            rows[name]["error"] = str(answer)
            console.print(f"  {name}: {answer}", highlight=False)
        elif "times" in answer:
            console.print(f"  {name}: first step {answer['times'][0]:.1f} s", highlight=False)

    with contextlib.ExitStack() as stack:
        workers = {
            c.name: stack.enter_context(Worker(c.backend, limit, c.environment)) for c in candidates
        }
        loads = {
            c.name: {"load": f"{c.side}:block", "arguments": c.options | {"size": size.as_dict()}}
            for c in candidates
        }
        settles = {
            c.name: {"load": f"{c.side}:settle", "arguments": {"compiled": c.compiled}}
            for c in candidates
        }
        ask_all(workers, settles, START_TIMEOUT)
        loaded = ask_all(workers, loads, START_TIMEOUT, report)
        workers = {name: worker for name, worker in workers.items() if "error" not in rows[name]}
        first = ask_all(workers, dict.fromkeys(workers, FIRST_STEP), START_TIMEOUT, report)
        workers = {name: worker for name, worker in workers.items() if "error" not in rows[name]}
        for name, worker in workers.items():
            rows[name]["first_step"] = first[name]["times"][0]
            rows[name]["memory"] = {"before": loaded[name]["import_memory"]}
            worker.ask(memory="reset")
        for what in PASSES:
            contestants = {name: (worker, what) for name, worker in workers.items()}
            warm = workers if what == "step" else ()
            for name, times in take_turns(contestants, warm=warm, **settings).items():
                rows[name][what] = times
            if what == "step":
                for name, worker in workers.items():
                    rows[name]["memory"] |= peak(worker)
    return list(rows.values())


def peak(worker):
    """`{"peak": bytes}`, the highest since the reset; nothing of a worker that has ended."""
    try:
        return {"peak": worker.ask(memory="peak")["peak"]}
    except WorkerError:
        return {}


def memory(row):
    """Bytes of the block, its sequences and its steps; infinite where they are not known."""
    taken = row.get("memory", {})
    return taken["peak"] - taken["before"] if "peak" in taken else math.inf


def table(result):
    """The times of one size, and the ratio to the fastest state space layer of PyTorch."""
    rows = measured(result)
    reference = fastest(rows, "state_space")
    shown = Table("", "step ms", "ratio", "forward ms", "memory MiB")
    for row in result["candidates"]:
        if row not in rows:
            error = row.get("error") or row["step"]["error"]
            shown.add_row(row["name"], error[:60], "", "", "")
            continue
        step = row["step"]["median"]
        ratio = f"{reference['step']['median'] / step:.2f}" if reference else ""
        forward = row["forward"].get("median")
        shown.add_row(
            row["name"],
            f"{1e3 * step:.1f}",
            ratio,
            f"{1e3 * forward:.1f}" if forward else row["forward"]["error"][:30],
            f"{memory(row) / 2**20:.0f}",
        )
    return shown


def measured(result):
    """The candidates of one size that have times of a step."""
    return [row for row in result["candidates"] if "median" in row.get("step", {})]


def fastest(rows, *groups, key=lambda row: row["step"]["median"]):
    """The row of the least time (or other key) among groups, or None."""
    return min((row for row in rows if row["group"] in groups), key=key, default=None)
