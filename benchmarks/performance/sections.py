"""Sections of docs/performance.md, each written from one row of the results."""

import math

from benchmarks.data_tables.tables import table
from benchmarks.performance import batches, machine, own, targets, work
from benchmarks.performance.peers import fastest, measured, memory
from benchmarks.performance.sizes import Size

MIB = 2**20


def milliseconds(entry):
    """Median and shortest of an entry in ms, or its error."""
    if not entry or "error" in entry:
        return (entry or {}).get("error", "")
    return f"{1e3 * entry['median']:.4g} ({1e3 * entry['min']:.4g})"


def heading(row):
    """Where and when a row was measured."""
    e = row["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in e["versions"].items() if version)
    quick = " Quick mode: small sizes, few repetitions." if row.get("quick") else ""
    return (
        f"*{e['date'][:10]}, {e['cpu']}, {e['cores']} cores, {e['memory_gib']:g} GiB, load "
        f"{e['load_before']:g} before; Python {e['python']}, {packages}; "
        f"{row['seconds']:.0f} s.{quick}*"
    )


def peers(row):
    parts = [
        f"""## Against other libraries

One residual block, x + dense(gelu(mixer(norm(x)))), float32, B sequences of L steps with H features
and N modes. A step is forward, mean square error against a target of the same shape, backward and
an AdamW update; every library runs in its own process with all cores, and the processes take turns.
Ours is `DSSBlock(DSS(N))` in a Keras model, stepped by `train_on_batch`. The DSS of
gated-state-spaces-pytorch, S5, LSTM, GRU and attention (4 heads, causal) stand in the place of the
mixer; GSS and Mamba are their own gated blocks with expansion factor 1. S5 has one system of N
states for all features where DSS has one for each, so that its work is smaller; Mamba's N states
are real. GSS and the recurrent layers of Keras run at 1,024 steps and fewer, Mamba and ours
compiled by torch (minutes for its first step) at 784, to keep the whole run short. Where memory is
kept, glibc does not give freed tensors back to the system, to ask for as much again: what
`keras_dss.keep_freed_memory()` does. These count for no target. Times are
medians (and minima) in milliseconds; a ratio above 1 says that the candidate is faster than the
fastest state space layer of PyTorch. Memory is the
highest resident memory during steps beyond that of a process that has imported everything and
trained a dense layer of eight weights in the same way: the block, its sequences and all that its
steps need.

{heading(row)}"""
    ]
    for result in row["sizes"]:
        rows = measured(result)
        reference = fastest(rows, "state_space")
        lines = []
        for candidate in result["candidates"]:
            if candidate not in rows:
                error = candidate.get("error") or candidate["step"]["error"]
                lines.append([candidate["name"], error.replace("|", "/")])
                continue
            ratio = ""
            if reference:
                ratio = f"{reference['step']['median'] / candidate['step']['median']:.2f}"
            lines.append(
                [
                    candidate["name"],
                    milliseconds(candidate["step"]),
                    ratio,
                    milliseconds(candidate.get("forward")),
                    f"{memory(candidate) / MIB:.0f}",
                ]
            )
        header = ["candidate", "step, ms", "ratio", "forward, ms", "memory, MiB"]
        size, limit = Size(**result["size"]).name, result["memory_limit"] / 2**30
        parts += [f"### {size}", table(header, lines), losses(result)]
        if len(rows) < len(lines):
            text = "TensorFlow is ended by a signal where it gets no more."
            parts.append(f"A process may take {limit:.1f} GiB; {text}")
    return "\n\n".join(parts)


def losses(result):
    """Who is faster or smaller than the best of ours, in words."""
    rows = measured(result)
    quantities = {
        "step": lambda row: row["step"]["median"],
        "forward": lambda row: row.get("forward", {}).get("median", math.inf),
        "memory": memory,
    }
    lines = []
    for name, quantity in quantities.items():
        ours = fastest(rows, "ours", key=quantity)
        if ours is None:
            return ""
        ahead = [
            f"{row['name']} ({quantity(ours) / quantity(row):.2f})"
            for row in rows
            if row["group"] not in ("ours", "kept") and quantity(row) < quantity(ours)
        ]
        behind = f"ahead of our best, {ours['name']}: {', '.join(ahead)}" if ahead else "none ahead"
        lines.append(f"- {name}: {behind}")
    return "Other libraries that are ahead of us, and how many times:\n\n" + "\n".join(lines)


def memory_of_batches(row):
    size = Size(**row["size"])
    counts = sorted(row["candidates"][0]["bytes"], key=int)  # files sort names, not numbers
    lines = []
    for candidate in row["candidates"]:
        cells = [f"{candidate['bytes'][c] / MIB:.0f}" for c in counts if c in candidate["bytes"]]
        if "error" in candidate:
            lines.append([candidate["name"], *cells, candidate["error"].replace("|", "/")])
            continue
        fixed, tensors = batches.line(candidate, size)
        lines.append([candidate["name"], *cells, f"{fixed / MIB:.0f}", f"{tensors:.1f}"])
    header = ["candidate", *(f"B{count}" for count in counts), "fixed", "tensors"]
    return f"""## What a step holds

Memory of the same block at {size.features} features, {size.states} modes and {size.length:,} steps,
in MiB, with B sequences at a time; each in a process of its own. The line nearest to it has a part
that no B changes (of a graph and its constants, buffers of libraries), and one that grows with B:
so many tensors (B, L, H) in float32, of which sequences and targets are two.

{heading(row)}

{table(header, lines)}"""


def child(row):
    lines = []
    for entry in row["entries"]:
        times = entry["times"]
        if "error" in times:
            lines.append([entry["what"], entry["backend"], "", times["error"], "", ""])
            continue
        for what in ("forward", "step"):
            parent, reduced = times.get(f"parent {what}"), times.get(f"child {what}")
            if parent is None:
                continue
            both = "median" in parent and "median" in reduced
            ratio = f"{parent['median'] / reduced['median']:.2f}" if both else ""
            lines.append(
                [
                    entry["what"],
                    entry["backend"],
                    what,
                    milliseconds(parent),
                    milliseconds(reduced),
                    ratio,
                ]
            )
    header = ["what", "backend", "pass", "parent, ms", "child, ms", "times faster"]
    return f"""## Reduced models against their parents

Whole sequences at a time. Blocks: N = 64 modes against {row["modes"]}, made by `compress_model`,
at the same B, L and H. Published models: the `_n8_bt` child against its parent with 64 modes. Both
in one process, in turns; medians (and minima).

{heading(row)}

{table(header, lines)}"""


def lengths(row):
    model = row["model"]
    header = ["backend", *(f"{length:,}" for length in row["lengths"])]
    header += ["growth", "growth of FFTs", "peak, MiB"]
    lines = []
    for entry in row["entries"]:
        times, costs = entry["times"], entry.get("costs", {})
        cells = []
        for length in map(str, row["lengths"]):
            seconds = times.get(length, {}).get("median")
            cost = f" ({costs[length]:.1f})" if length in costs else ""
            cells.append(f"{1e3 * seconds:.4g}{cost}" if seconds else "")
        growth = [f"{own.growth(c):.2f}" if c else "" for c in (costs, entry.get("transforms"))]
        memory = entry["memory"]
        peak = f"{memory['peak'] / MIB:,.0f}" if "peak" in memory else memory["error"]
        lines.append([entry["backend"], *cells, *growth, peak])
    return f"""## Cost against length

Inference of `DSSClassifier` with {model["num_blocks"]} blocks, H = {model["features"]},
N = {model["states"]}, on one sequence of L steps: milliseconds, and in brackets nanoseconds /
(L log2 L). Growth is the largest ratio of one of these to that of a shorter length; 1 where the
cost never grows faster than L log L. That of FFTs is the same for the library's own real FFT of 2L
points and back, of H features, with nothing else. Peak is all of the resident memory of a process
of its own that runs the longest, library and compilation included. All processes keep the memory of
freed tensors, as after `keras_dss.keep_freed_memory()`.

{heading(row)}

{table(header, lines)}"""


def limits(row, peers_row=None):
    rates = work.rates(row["times"])
    header = ["limit", "rate"]
    units = {"gemm": "GFLOP/s", "triad": "GB/s"}
    lines = [
        [name, f"{rate / 1e9:.1f} {units.get(name, 'GFLOP/s')}"] for name, rate in rates.items()
    ]
    text = f"""## Limits of the machine

Measured in the same run: a product of {work.GEMM} x {work.GEMM} matrices, a triad z = x + 3 y of
{work.TRIAD:,} floats, and real FFTs of {work.FFT[0]} rows of {work.FFT[1]} points (2.5 M log2 M
flops each).

{heading(row)}

{table(header, lines)}"""
    return text + (shares(rates, peers_row) if peers_row else "")


def shares(rates, peers_row):
    """Tables of the least time of each stage, and the share of it that the best of ours reaches."""
    parts = [
        """

### The share of them that a step reaches

The least time of a stage is that of its flops at the rate of the product of matrices (of the
fastest FFT for FFTs), or that of its bytes at the rate of the triad, whichever is longer; each
stage reads and writes each of its tensors once. The share is their sum over the time of a step. The
rest: operations that run one after another read and write the same tensors again; the system fills
the pages of freed tensors with zeros (the steps with memory kept are that much shorter); the
optimizer and the dispatch of operations are no stage.
"""
    ]
    header, lines = ["stage"], {}
    for result in peers_row["sizes"]:
        size = result["size"]
        ours = fastest(measured(result), "ours")
        if ours is None:
            continue
        header.append(Size(**size).name + ", ms")
        stages = work.stages(**size, fft_length=2 * size["length"])
        least = {name: work.least_seconds(stage, rates) for name, stage in stages.items()}
        for name, seconds in least.items():
            bound = "memory" if stages[name]["bytes"] / rates["triad"] == seconds else "arithmetic"
            lines.setdefault(name, [name]).append(f"{1e3 * seconds:.2f} ({bound})")
        total, step = sum(least.values()), ours["step"]["median"]
        lines.setdefault("sum", ["sum"]).append(f"{1e3 * total:.1f}")
        backend = ours["name"].split(", ")[1]
        lines.setdefault("ours", ["our best step"]).append(f"{1e3 * step:.1f} ({backend})")
        lines.setdefault("share", ["share reached"]).append(f"{100 * total / step:.0f} %")
        target, theirs = targets.STEP.get(Size(**size)), fastest(measured(result), "state_space")
        wanted = target and theirs and theirs["step"]["median"] / target
        share = f"{100 * total / wanted:.0f} %" if wanted else ""
        lines.setdefault("target", ["share that the target takes"]).append(share)
    return parts[0] + "\n" + table(header, lines.values())


def profile(row):
    header = ["backend", "size", "step, ms", *machine.PARTS]
    lines = []
    for entry in row["entries"]:
        size = Size(**entry["size"]).name
        if "error" in entry:
            lines.append([entry["backend"], size, entry["error"]])
            continue
        parts = [entry["parts"][name] for name in machine.PARTS]
        total = sum(parts)
        shares = [f"{1e3 * seconds:.1f} ({100 * seconds / total:.0f} %)" for seconds in parts]
        lines.append([entry["backend"], size, f"{1e3 * total:.1f}", *shares])
    return f"""## Where a training step goes

`DSSBlock` with layer normalization and GLU. Parts are taken away one after another, in the order of
the columns: the optimizer is replaced by plain gradient descent, the kernel by free taps, the
convolution, GELU with dense layer and GLU, and normalization by nothing (D stays). Each part is
the difference of two steps that take turns, so that the parts add up to the step; compilers fuse
neighbours, so that a small part can come out negative.

{heading(row)}

{table(header, lines)}"""


def utilities(row):
    lines = []
    for name, entry in row["times"].items():
        rate = ""
        if "samples: " in name and "median" in entry:
            name, count = name.split(", samples: ")
            rate = f"{int(count) / entry['median']:,.0f} samples/s"
        lines.append([name, milliseconds(entry), rate])
    for backend, entry in row["imports"].items():
        others = [p for p in entry.get("packages", ()) if not p.startswith(("_", "keras_dss"))]
        note = f"imports {', '.join(others)}" if len(others) < 12 else f"{len(others)} packages"
        lines.append([f"import keras_dss after keras, {backend}", milliseconds(entry), note])
    lines += [[name, error, ""] for name, error in row["errors"].items()]
    return f"""## Around the training

Medians (and minima) in milliseconds. Data are drawn by one process. The import is timed in a fresh
process in which Keras is imported already.

{heading(row)}

{table(["what", "ms", ""], lines)}"""
