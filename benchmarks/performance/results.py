"""Results as JSON: each row with the machine, the versions and the date it was measured on."""

import datetime
import importlib.metadata
import json
import os
import platform
import runpy
import subprocess
from pathlib import Path

PATH = Path("benchmarks/results/performance.json")
PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "scipy",
    "gated-state-spaces-pytorch",
    "s5-pytorch",
    "mambapy",
)


def cpu_model():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions():
    found = {"keras_dss": runpy.run_path("keras_dss/version.py")["__version__"]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit():
    """The commit of the clone that is measured, None outside of a clone."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


def environment():
    """What a measurement depends on; the load tells whether the machine was quiet."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions(),
        "commit": commit(),
    }


def read(path=PATH):
    return json.loads(Path(path).read_text()) if Path(path).exists() else {}


def write_row(name, row, path=PATH):
    """Replaces one row of the file; the other rows stay."""
    rows = read(path) | {name: row}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(f"{path}.{os.getpid()}")
    temporary.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, path)
