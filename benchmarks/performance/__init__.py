"""Speed and memory of one machine in one run: ours, what one would pick instead, and the limits.

    python -m benchmarks.performance [--rows=peers,...] [--backends=tensorflow,jax,torch] [--quick]
    python -m benchmarks.performance.page

The first command measures and writes benchmarks/results/performance.json, the second writes
docs/performance.md from it. Peers come from PyPI:

    pip install --no-deps gated-state-spaces-pytorch s5-pytorch mambapy && pip install einops

Every library runs in a process of its own, with all cores; the processes are told in turns to run
some steps, so that whatever disturbs the machine disturbs all of them alike.
"""
