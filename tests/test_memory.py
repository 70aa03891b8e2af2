import os
import platform
import subprocess
import sys

import pytest

from keras_dss import memory

BLOCK = 2**26  # bytes, beyond what glibc keeps by itself
PROGRAM = f"""
import resource
import runpy

keep_freed_memory = runpy.run_path({memory.__file__!r})["keep_freed_memory"]  # without a backend
kept = {{}} and keep_freed_memory()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for value in b"abcdef":
    bytes([value]) * {BLOCK}
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
print(kept, faults * resource.getpagesize())
"""


def run(keep, **variables):
    """What the call returned, and how many bytes of memory were new to the process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | variables
    command = [sys.executable, "-c", PROGRAM.format(keep)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    kept, new = found.stdout.split()
    return kept == "True", int(new)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does")
def test_blocks_are_used_again():
    assert run(keep=False)[1] > 5 * BLOCK
    kept, new = run(keep=True)
    assert kept and new < 2 * BLOCK


def test_the_environment_decides():
    assert run(keep=True, MALLOC_ARENA_MAX="2")[0] is False


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    assert memory.keep_freed_memory() is False
