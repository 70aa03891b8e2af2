"""Whether a better parent gives a better child: parents trained for ever longer.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.better_parents --recipe=smnist \
        --write=docs/initial_parameters.md

Parents of one recipe are trained for each of `--parent_steps` steps, each along a whole schedule,
and reduced to `--rank` modes; every child is trained for the same `--steps` steps on the same
batches. The table goes between the markers `<!-- better_parents_RECIPE -->`.
"""

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.data_tables.tables import table
from benchmarks.documents import replace_between_markers, write_results

_RECIPE = flags.DEFINE_string("recipe", "smnist", "Recipe whose settings and data are used.")
_PARENT_STEPS = flags.DEFINE_list("parent_steps", "50 100 200 400 800 1600".split(), "Of parents.")
_RANK = flags.DEFINE_integer("rank", 8, "Modes of the children.", 1)
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of the main training.", 1)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many orders of the batches.", 2)
_TEST = flags.DEFINE_integer("test", None, "Only so many test examples.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/initial_parameters", "Trainings that are done.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the results as JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")


def measure(bench, say):
    entries = []
    for steps in map(int, _PARENT_STEPS.value):
        parent = bench.fresh(bench.settings.state_size, bench.settings.seed, "shared")
        name = f"parent_{steps}"
        bench.train(parent, name, steps, bench.settings.seed, bench.settings.pretrain)
        initial = bench.reduced(parent, _RANK.value)
        values = []
        for seed in range(1, _SEEDS.value + 1):
            child = bench.combined(initial, initial)
            folder = f"{name}_child_n{_RANK.value}_{seed}"
            bench.train(child, folder, _STEPS.value, seed, bench.settings.train)
            values.append(bench.value(bench.score(child)))
        entries.append({
            "parent_steps": steps,
            "parent": bench.value(bench.score(parent)),
            "reduced": bench.value(bench.score(initial)),
            "children": values,
        })  # fmt: skip
        say(str(entries[-1]))
    return entries


def text(content):
    """The table as Markdown, and the correlation of parents and children."""
    import scipy.stats

    entries, digits = content["entries"], 3 if content["unit"] != "% accuracy" else 2
    rows = []
    for entry in entries:
        found = [entry["parent"], entry["reduced"], np.mean(entry["children"])]
        cells = [f"{value:.{digits}f}" for value in found]
        cells[2] += f" ± {np.std(entry['children'], ddof=1):.{digits}f}"
        rows.append([f"{entry['parent_steps']:,}", *cells])
    parents = [entry["parent"] for entry in entries]
    children = [np.mean(entry["children"]) for entry in entries]
    pearson = scipy.stats.pearsonr(parents, children).statistic
    spearman = scipy.stats.spearmanr(parents, children).statistic
    header = ["steps of the parent", "parent", "reduced", "child, trained"]
    return (
        f"{content['recipe']}, {content['unit']}; children of {content['rank']} modes, trained for "
        f"{content['steps']} steps, mean and standard deviation of {content['seeds']} seeds:\n\n"
        + table(header, rows)
        + "\n\nCorrelation of parents and trained children: "
        f"{pearson:.2f} (of ranks: {spearman:.2f})."
    )


def main(_):
    from benchmarks.short_trainings import Bench

    console = Console(highlight=False)
    bench = Bench(_RECIPE.value, _DATA_DIR.value, _WORK_DIR.value, _TEST.value)
    content = {
        "recipe": _RECIPE.value,
        "rank": _RANK.value,
        "unit": bench.unit,
        "steps": _STEPS.value,
        "seeds": _SEEDS.value,
        "entries": measure(bench, console.print),
    }
    write_results(_RESULTS.value, f"better_parents_{_RECIPE.value}", content)
    console.print(Markdown(text(content)))
    if _WRITE.value:
        name = f"better_parents_{_RECIPE.value}"
        replace_between_markers(_WRITE.value, name, text(content))


if __name__ == "__main__":
    app.run(main)
