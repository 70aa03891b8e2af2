"""Writes docs/performance.md from benchmarks/results/performance.json.

python -m benchmarks.performance.page [--input=FILE] [--output=FILE]
"""

import os
from pathlib import Path

from absl import app, flags

from benchmarks.performance import results, sections, targets

FLAGS = flags.FLAGS
SECTIONS = (
    "peers",
    "memory_of_batches",
    "child",
    "lengths",
    "limits",
    "profile",
    "utilities",
)
TITLE = """# Speed and memory

Measured by `python -m benchmarks.performance`, written by `python -m benchmarks.performance.page`
from `benchmarks/results/performance.json`, which has every single time. Sizes come from a list, and
all of them are shown, losses included. Compare ratios, not times: each table was measured in one
run, but machines differ.
"""


def page(rows):
    """The text of the page: targets, then a section for each row that there is."""
    parts = [TITLE, targets.section(rows)]
    for name in SECTIONS:
        if name not in rows:
            continue
        if name == "limits":
            parts.append(sections.limits(rows["limits"], rows.get("peers")))
        else:
            parts.append(getattr(sections, name)(rows[name]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main(_):
    temporary = f"{FLAGS.output}.{os.getpid()}"
    Path(temporary).write_text(page(results.read(FLAGS.input)), encoding="utf-8")
    os.replace(temporary, FLAGS.output)
    print(f"written: {FLAGS.output}")


if __name__ == "__main__":
    flags.DEFINE_string("input", str(results.PATH), "file of the results")
    flags.DEFINE_string("output", "docs/performance.md", "the page")
    app.run(main)
