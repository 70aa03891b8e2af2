"""Writes docs/data.md: what each task is, and what an accuracy on it means.

    python -m benchmarks.data_tables [--output docs/data.md] [--data_dir FOLDER]

Files are read from `--data_dir` or `KERAS_DSS_DATA_DIR`. Takes some minutes on two cores.
"""

import argparse
import re
from pathlib import Path

from benchmarks.data_tables import (
    fsdd_etth1,
    listops_mnist,
    pairs_language,
    pathfinder,
    text_image,
)
from benchmarks.data_tables.tables import table
from keras_dss import datasets
from keras_dss.datasets.paths import replacing

SECTIONS = {
    "lra_listops": listops_mnist.listops_section,
    "lra_text": text_image.text_section,
    "lra_retrieval": pairs_language.retrieval_section,
    "lra_image": text_image.image_section,
    "lra_pathfinder": pathfinder.pathfinder_section,
    "lra_pathx": pathfinder.pathx_section,
    "scisumm": pairs_language.scisumm_section,
    "smnist": listops_mnist.smnist_section,
    "fsdd": fsdd_etth1.fsdd_section,
    "etth1": fsdd_etth1.etth1_section,
    "shakespeare": pairs_language.shakespeare_section,
}


def overview(sections):
    """One line a task: sizes, and the best of its baselines on test."""
    rows = []
    for name, text in sections.items():
        task = getattr(datasets, name)
        sizes = " / ".join(f"{count:,}" for count in task.SPLITS.values())
        classes = getattr(task, "NUM_CLASSES", None) or {"language": "65 characters"}.get(
            task.KIND, "numbers"
        )
        rows.append([f"[{name}](#{name})", sizes, f"{task.MAX_LENGTH:,}", classes, best(text)])
    header = ["task", "train / validation / test", "steps", "classes", "best simple baseline, test"]
    return table(header, rows)


def best(text):
    """The last column of the best row of a section's baselines; less is better for errors."""
    tables = re.findall(r"(?m)(?:^\|.*\|\n?)+", text)
    heads = ("| baseline", "| bits per character")
    found = [part.strip().split("\n") for part in tables if part.startswith(heads)]
    if not found:
        return ""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0]]
    header = " ".join(rows[0])
    column = rows[0].index("test MSE" if "MSE" in header else "test")
    scores = [(float(row[column].split(" ")[0]), row[0]) for row in rows[2:]]
    if "MSE" in header or "bits" in header:
        score, name = min(scores)
        return f"{score:g} {'MSE' if 'MSE' in header else 'bits per character'}: {name}"
    score, name = max(scores)
    return f"{score:g} %: {name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="docs/data.md")
    parser.add_argument("--data_dir", default=None)
    arguments = parser.parse_args()
    sections = {}
    for name, section in SECTIONS.items():
        print(f"{name} ...", flush=True)
        sections[name] = section(arguments.data_dir)
    title = "# Data sets\n\nWritten by `python -m benchmarks.data_tables`.\n"
    text = "\n".join([title, overview(sections) + "\n", *sections.values()])
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
