"""A process that measures what it is told to: one JSON request a line, one JSON answer a line.

    {"load": "module:function", "arguments": {...}}  calls a function of this package; keeps the
                                                     functions that it returns, or answers its value
    {"run": name, "seconds": s, "most": n}           runs one of the functions, answers with times
    {"memory": "reset" | "peak"}                     resident memory now, highest since the reset

Answers go to a copy of standard output; whatever libraries print goes to standard error.
"""

import gc
import importlib
import json
import os
import resource
import sys
import time


def resident(field="VmRSS"):
    """Bytes of resident memory now (VmRSS), or the highest since the last reset (VmHWM)."""
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status must have a line {field}")


def reset_peak():
    """From now on the peak is that of what follows."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


class Worker:
    def __init__(self):
        self.functions = {}

    def load(self, request):
        module, name = request["load"].split(":")
        start = time.perf_counter()
        function = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        imported, memory = time.perf_counter(), resident()
        value = function(**request.get("arguments", {}))
        answer = {"import_seconds": imported - start, "import_memory": memory}
        if isinstance(value, dict) and value and all(map(callable, value.values())):
            self.functions = value
            return answer | {"functions": list(value)}
        return answer | {"value": value}

    def run(self, request):
        function, times = self.functions[request["run"]], []
        end = time.perf_counter() + request.get("seconds", 0.0)
        while len(times) < request.get("most", 1000):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
            if time.perf_counter() >= end:
                break
        return {"times": times}

    def memory(self, request):
        if request["memory"] == "reset":
            reset_peak()
        return {"resident": resident(), "peak": resident("VmHWM")}

    def answer(self, request):
        command = next(name for name in ("load", "run", "memory") if name in request)
        try:
            return getattr(self, command)(request)
        except Exception as error:
            first = str(error).strip().split("\n")[0]
            return {"error": f"{type(error).__name__}: {first}"[:300]}


def main():
    limit = int(os.environ["BENCHMARK_MEMORY_LIMIT"])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        worker = Worker()
        for line in sys.stdin:
            answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
