"""The measuring of benchmarks.performance: workers, turns, counts, and the page of the results."""

import json

import pytest

from benchmarks.performance import batches, machine, own, page, results, targets, turns, work
from benchmarks.performance.sizes import Size

SIZE = {"batch": 32, "features": 128, "states": 64, "length": 1024}


@pytest.fixture
def worker():
    with turns.Worker(limit=2**30) as worker:
        yield worker


def test_a_worker_answers_values_errors_and_memory(worker):
    size = {"batch": 2, "features": 4, "states": 8, "length": 64, "fft_length": 128}
    assert worker.ask(load="work:stages", arguments=size)["value"] == work.stages(**size)
    with pytest.raises(turns.WorkerError, match="AttributeError"):
        worker.ask(load="work:nothing")
    before = worker.ask(memory="reset")
    assert 0 < before["resident"] <= before["peak"] < 2**30


def test_a_worker_that_ends_is_reported():
    with turns.Worker() as worker:
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(turns.WorkerError, match="ended by SIGKILL"):
            worker.ask(memory="peak")
    with turns.Worker() as worker:
        with pytest.raises(turns.WorkerError, match="within 0 s"):
            worker.ask(timeout=0, memory="peak")
        with pytest.raises(turns.WorkerError, match="ended by SIGKILL"):
            worker.ask(memory="peak")


class Slow:
    """Answers as a worker does: 1 s for `slow`, 1 ms for `fast`, an error for `broken`."""

    def __init__(self):
        self.order = []

    def ask(self, timeout, run, **_):
        self.order.append(run)
        if run == "broken":
            raise turns.WorkerError("it broke")
        return {"times": [{"slow": 1.0, "fast": 1e-3}[run]]}


def test_turns_alternate_and_slow_functions_have_fewer():
    worker = Slow()
    contestants = {name: (worker, name) for name in ("slow", "fast", "broken")}
    times = turns.take_turns(contestants, rounds=4, seconds=0.0, budget=2.0)
    assert times["broken"] == {"error": "it broke"}
    assert times["fast"] == {"median": 1e-3, "min": 1e-3, "times": [1e-3] * 4}
    assert times["slow"]["times"] == [1.0, 1.0]
    assert worker.order[-6:] == ["slow", "fast", "slow", "fast", "fast", "fast"]


def test_work_grows_with_the_batch_and_least_times_follow_the_rates():
    size = {"features": 8, "states": 4, "length": 256, "fft_length": 512}
    one, two = work.stages(batch=1, **size), work.stages(batch=2, **size)
    assert two["dense"]["flops"] == 2 * one["dense"]["flops"] == 2 * 6 * 256 * 64
    assert two["kernel"] == one["kernel"]
    rates = {"gemm": 1e9, "triad": 1e30, "rfft scipy": 2e9, "rfft numpy": 1e9}
    assert work.least_seconds(one["FFTs"], rates) == one["FFTs"]["flops"] / 2e9
    assert work.least_seconds(one["dense"], rates | {"triad": 1.0}) == one["dense"]["bytes"]
    assert work.rates({"gemm": {"min": 2.0}, "triad": {"error": ""}}) == {"gemm": work.GEMM**3}


def test_growth_compares_with_every_shorter_length():
    assert own.growth({"1": 3.0, "2": 1.0, "3": 2.0}) == 2.0
    assert own.growth({"1": 3.0, "2": 1.0}) == 1.0
    assert own.growth({"16": 1.0, "1024": 3.0, "128": 2.0}) == 3.0
    assert own.growth({"1024": 1.0, "128": 2.0, "16": 3.0}) == 1.0  # files sort names, not numbers
    times = {"1024": {"median": 1024 * 10 * 5e-9}, "4096": {"error": "none"}}
    assert own.costs(times) == {"1024": pytest.approx(5.0)}


def test_parts_of_a_step_sum_to_it():
    names = ("", *machine.PARTS[:-1])
    times = {name: {"median": 7.0 - i} for i, name in enumerate(names)}
    assert sum(machine.parts(times).values()) == pytest.approx(7.0)
    assert machine.first_error(times) is None
    assert machine.first_error(times | {"kernel": {"error": "no"}}) == "no"


def test_memory_of_batches_is_a_fixed_part_and_tensors():
    size = Size(**SIZE)  # sequences of half a MiB
    grows = {"name": "ours", "bytes": {str(b): (50 + 0.5 * 12 * b) * 2**20 for b in (4, 16, 64)}}
    assert batches.line(grows, size) == pytest.approx((50 * 2**20, 12.0))
    where = {"environment": results.environment(), "seconds": 1.0}
    failed = {"name": "peer", "bytes": {"4": 2**20}, "error": "MemoryError"}
    row = {"size": SIZE, "candidates": [grows, failed]} | where
    text = page.page(json.loads(json.dumps({"memory_of_batches": row}, sort_keys=True)))
    assert "| candidate | B4 | B16 | B64 | fixed | tensors |" in text
    assert "| ours | 74 | 146 | 434 | 50 | 12.0 |" in text
    assert "| peer | 1 | MemoryError |" in text


def test_the_page_tells_what_half_of_the_smallest_other_leaves():
    def candidate(name, group, fixed, tensors):
        taken = {str(batch): (fixed + 0.5 * tensors * batch) * 2**20 for batch in (16, 32)}
        return {"name": name, "group": group, "bytes": taken}

    small, large = candidate("small", "ours", 10, 8), candidate("large", "ours", 100, 12)
    row = {"size": SIZE, "candidates": [large, small, candidate("peer", "state_space", 60, 25)]}
    assert [*targets.reasons({"memory_of_batches": row})] == [
        "Memory at B32 H128 N64 L1024: half of the smallest other is 230 MiB (What a step holds, "
        "below). By its line small takes 138. Of large, 100 MiB are there whatever B, which leaves "
        "8.1 tensors (B, L, H); a step holds 12.0."
    ]
    row["candidates"] = [small, candidate("peer", "state_space", 60, 25)]
    assert not [*targets.reasons({"memory_of_batches": row})]


def entry(seconds):
    return {"median": seconds, "min": seconds, "times": [seconds]}


def peers():
    def candidate(name, group, step, peak):
        row = {"name": name, "group": group, "step": entry(step), "forward": entry(step / 3)}
        return row | {"memory": {"before": 0, "peak": peak}}

    candidates = [
        candidate("keras_dss, jax", "ours", 0.1, 2**20),
        candidate("peer, eager", "state_space", 0.25, 3 * 2**20),
        candidate("other", "other", 0.05, 2**19),
        candidate("keras_dss, jax, memory kept", "kept", 0.01, 2**10),  # compared with nobody
        {"name": "failed", "group": "state_space", "error": "MemoryError: too large"},
    ]
    return {"sizes": [{"size": SIZE, "memory_limit": 2**33, "candidates": candidates}]}


def test_the_page_has_verdicts_losses_and_errors(tmp_path):
    where = {"environment": results.environment(), "seconds": 1.0}
    lengths = {
        "model": own.MODEL,
        "lengths": [1024],
        "entries": [{"backend": "jax", "times": {"1024": entry(1.0)}, "memory": {"peak": 3e9}}],
    }
    parts = {name: 0.001 * (i + 1) for i, name in enumerate(machine.PARTS)}
    size = peers()["sizes"][0]["size"]
    profile = {"entries": [{"backend": "jax", "size": size, "parts": parts}]}
    path = tmp_path / "results" / "performance.json"
    results.write_row("peers", peers() | where, path)
    results.write_row("lengths", lengths | where, path)
    results.write_row("profile", profile | where, path)  # which sorts the parts
    rows = json.loads(path.read_text())
    assert targets.verdicts(rows)[:2] == [
        ["step, B32 H128 N64 L1024", "at least 2 times faster", *reached("2.50")],
        ["memory, B32 H128 N64 L1024", "at least 2 times less", *reached("3.00")],
    ]
    assert targets.verdicts(rows)[2][-2:] == ["3.00 GB", "**no**"]
    text = page.page(rows)
    assert "ahead of our best, keras_dss, jax: other (2.00)\n" in text
    assert "| failed | MemoryError: too large |" in text
    assert "| 21.0 | 1.0 (5 %) | 2.0 (10 %) |" in text
    assert "kernel alone, which takes 10 to 10 %" in text.replace("\n", " ")
    assert "A process may take 8.0 GiB;" in text


def reached(ratio):
    return f"{ratio} (keras_dss, jax against peer, eager)", "yes"
