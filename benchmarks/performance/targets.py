"""What the project wants of its speed, and whether the results reach it."""

import textwrap

from benchmarks.data_tables.tables import table
from benchmarks.performance import batches, own
from benchmarks.performance.peers import fastest, measured, memory
from benchmarks.performance.sizes import SIZES, Size
from benchmarks.performance.work import FLOAT

STEP = {SIZES[1]: 2.0, SIZES[2]: 3.0, SIZES[3]: 3.0}  # times the fastest state space of PyTorch
MEMORY = 2.0  # times less
CHILD = 1.5
GROWTH = 1.3
PEAK = 2 * 10**9  # bytes
IMPORT = 0.2  # seconds
BREAK = "\n\n"


def verdicts(rows):
    """Lines `[what, wanted, measured, "yes" | "no"]`."""
    lines = [*of_peers(rows.get("peers", {"sizes": []}))]
    for name, function in (("child", of_child), ("lengths", of_lengths), ("utilities", of_imports)):
        if name in rows:
            lines += function(rows[name])
    return lines


def line(what, wanted, value, reached):
    return [what, wanted, value, "yes" if reached else "**no**"]


def of_peers(row):
    for result in row["sizes"]:
        size, found = Size(**result["size"]), measured(result)
        ours, theirs = fastest(found, "ours"), fastest(found, "state_space")
        if not (ours and theirs and size in STEP):
            continue
        ratio = theirs["step"]["median"] / ours["step"]["median"]
        value = f"{ratio:.2f} ({ours['name']} against {theirs['name']})"
        wanted = f"at least {STEP[size]:g} times faster"
        yield line(f"step, {size.name}", wanted, value, ratio >= STEP[size])

        smallest = fastest(found, "state_space", key=memory)
        ratio = memory(smallest) / memory(ours)
        value = f"{ratio:.2f} ({ours['name']} against {smallest['name']})"
        yield line(
            f"memory, {size.name}", f"at least {MEMORY:g} times less", value, ratio >= MEMORY
        )


def of_child(row):
    """On the backend where the child is fastest."""
    fastest_child = {}
    for entry in row["entries"]:
        times = entry["times"]
        parent, child = times.get("parent forward", {}), times.get("child forward", {})
        if "median" in parent and "median" in child:
            found = child["median"], parent["median"] / child["median"], entry["backend"]
            fastest_child.setdefault(entry["what"], []).append(found)
    for what, found in fastest_child.items():
        _, ratio, backend = min(found)
        value = f"{ratio:.2f} ({backend})"
        yield line(f"child, {what}", f"at least {CHILD:g} times faster", value, ratio >= CHILD)


def of_lengths(row):
    for entry in row["entries"]:
        costs, peak = entry.get("costs"), entry["memory"].get("peak")
        if costs:
            growth = own.growth(costs)
            what = f"cost against L log L, {entry['backend']}"
            yield line(what, f"within {GROWTH:g}", f"{growth:.2f}", growth <= GROWTH)
        if peak:
            what = f"memory of {row['lengths'][-1]:,} steps, {entry['backend']}"
            yield line(what, "under 2 GB", f"{peak / 1e9:.2f} GB", peak < PEAK)


def of_imports(row):
    for backend, entry in row["imports"].items():
        if "median" in entry:
            value = f"{entry['median']:.2f} s"
            what = f"import keras_dss after keras, {backend}"
            yield line(what, f"under {IMPORT:g} s", value, entry["median"] < IMPORT)


def reasons(rows):
    """Paragraphs on the targets that are missed, from the results."""
    if rows.get("profile"):
        entries = [entry for entry in rows["profile"]["entries"] if "parts" in entry]
        shares = [entry["parts"]["kernel"] / sum(entry["parts"].values()) for entry in entries]
        if shares:
            yield (
                "Children: through FFTs the number of modes changes the kernel alone, which takes "
                f"{100 * max(min(shares), 0.0):.0f} to {100 * max(shares):.0f} % of the training "
                "steps below."
                " Convolutions by products of matrices take O(L (64 + N)) time."
            )
    if "memory_of_batches" in rows:
        yield from of_batches(rows["memory_of_batches"])
    for entry in rows.get("lengths", {}).get("entries", ()):
        memory = entry["memory"]
        if memory.get("peak", 0) >= PEAK and "imports" in memory:
            yield (
                f"Memory of {entry['backend']}: {memory['imports'] / 1e9:.2f} of "
                f"{memory['peak'] / 1e9:.2f} GB are there after the imports, before any model."
            )


def of_batches(row):
    """What half of the smallest other library would leave for the tensors of our step."""
    size = Size(**row["size"])
    count = str(size.batch)
    found = [c for c in row["candidates"] if count in c["bytes"] and "error" not in c]
    theirs = min((c["bytes"][count] for c in found if c["group"] == "state_space"), default=0.0)
    most = theirs / MEMORY
    tensor = FLOAT * size.batch * size.length * size.features
    lines = [(c["name"], *batches.line(c, size)) for c in found if c["group"] == "ours"]
    ours = sorted((fixed + tensors * tensor, n, fixed, tensors) for n, fixed, tensors in lines)
    over = [entry for entry in ours if entry[0] > most > 0.0]
    if over:
        (least, smallest, *_), (_, name, fixed, tensors) = ours[0], over[0]
        left = max(0.0, (most - fixed) / tensor)
        yield (
            f"Memory at {size.name}: half of the smallest other is {most / 2**20:.0f} MiB (What a "
            f"step holds, below). By its line {smallest} takes {least / 2**20:.0f}. Of {name}, "
            f"{fixed / 2**20:.0f} MiB are there whatever B, which leaves {left:.1f} tensors "
            f"(B, L, H); a step holds {tensors:.1f}."
        )


def section(rows):
    header = ["what", "wanted", "measured", "reached"]
    return f"""## Targets

Each on the best of our backends, against the fastest (or smallest) state space layer of PyTorch.

{table(header, verdicts(rows))}

{BREAK.join(textwrap.fill(reason, 100) for reason in reasons(rows))}"""
