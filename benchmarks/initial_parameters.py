"""What reduced initial parameters are worth against Skew-HiPPO, told apart from other weights.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.initial_parameters --recipe=smnist \
        --write=docs/initial_parameters.md

A parent, published or trained here for `--parent_steps` steps, is reduced to each of `--ranks`.
Small models are then trained for the same `--steps` steps on the same batches from several starts:
the DSS layers reduced, by each `--method`, or from Skew-HiPPO, all other weights the parent's
or random. `--seeds` gives orders of the batches and random weights. All have the same architecture.
Every training is kept in `--work_dir` and goes on after a kill; the table goes between the markers
of the recipe's name in the Markdown file.
"""

import itertools

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.data_tables.tables import table
from benchmarks.documents import replace_between_markers, write_results

_RECIPE = flags.DEFINE_string("recipe", "smnist", "Recipe whose settings and data are used.")
_PARENT = flags.DEFINE_string("parent", None, "Name in the zoo; trained here if not given.")
_PARENT_STEPS = flags.DEFINE_integer("parent_steps", 1100, "Steps of a parent trained here.", 1)
_RANKS = flags.DEFINE_list("ranks", ["16", "8", "4"], "Modes of the small models.")
_METHODS = flags.DEFINE_multi_enum(
    "method", ["balanced"], ["balanced", "h2_optimal"], "Of reduction (repeat the flag)."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of the main training.", 1)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many seeds.", 1)
_TEST = flags.DEFINE_integer("test", None, "Only so many test examples.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/initial_parameters", "Trainings that are done.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the results as JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

REDUCED = {"balanced": "reduced", "h2_optimal": "reduced, H2-optimal"}
SKEW_HIPPO, PARENT, RANDOM = "Skew-HiPPO", "the parent's", "random"


def parent_model(bench):
    """The parent and its name."""
    if _PARENT.value:
        from keras_dss import zoo

        version = zoo.card(_PARENT.value)["version"]
        return zoo.load(_PARENT.value), f"version {version} of `{_PARENT.value}`"
    size, steps = bench.settings.state_size, _PARENT_STEPS.value
    model = bench.fresh(size, bench.settings.seed, "shared")
    name = f"parent_{steps}"
    bench.train(model, name, steps, bench.settings.seed, bench.settings.pretrain)
    return model, f"a parent with {size} modes, trained for {steps:,} steps"


def measure(bench, parent, say):
    """Entries of all ranks, starts and seeds, with their values before and after training."""
    entries = []
    for rank in map(int, _RANKS.value):
        reduced = {REDUCED[m]: bench.reduced(parent, rank, m) for m in _METHODS.value}
        inherited = next(iter(reduced.values()))
        for seed in range(1, _SEEDS.value + 1):
            fresh = bench.fresh(rank, seed)
            layers, others = reduced | {SKEW_HIPPO: fresh}, {PARENT: inherited, RANDOM: fresh}
            for start in itertools.product(layers, others):
                model = bench.combined(layers[start[0]], others[start[1]])
                whole = start[0] in reduced and start[1] == PARENT
                before = bench.value(bench.score(model)) if whole else None
                name = "_".join([f"n{rank}", *start, str(seed)])
                name = name.replace(" ", "-").replace("'", "").replace(",", "")
                bench.train(model, name, _STEPS.value, seed, bench.settings.train)
                value = bench.value(bench.score(model))
                say(f"{name}: {value:.4f}")
                entries.append({
                    "rank": rank, "layers": start[0], "others": start[1], "seed": seed,
                    "before": before, "value": value,
                })  # fmt: skip
    return entries


def text(content):
    """The table as Markdown."""
    entries, digits = content["entries"], 3 if content["unit"] != "% accuracy" else 2
    ranks = sorted({entry["rank"] for entry in entries}, reverse=True)

    def cell(rank, layers, others, key):
        found = [
            entry[key]
            for entry in entries
            if (entry["rank"], entry["layers"], entry["others"]) == (rank, layers, others)
        ]
        deviation = f" ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 else ""
        return f"{np.mean(found):.{digits}f}{deviation if key == 'value' else ''}"

    starts = list(dict.fromkeys((entry["layers"], entry["others"]) for entry in entries))
    rows = [[*start, *(cell(rank, *start, "value") for rank in ranks)] for start in starts]
    rows += [
        [f"{layers}, not trained", others, *(cell(r, layers, others, "before") for r in ranks)]
        for layers, others in starts
        if layers != SKEW_HIPPO and others == PARENT
    ]
    header = ["DSS layers", "other weights", *(f"{rank} modes" for rank in ranks)]
    return (
        f"{content['recipe']}, from {content['parent']}: {content['parent_value']:.{digits}f} "
        f"{content['unit']}. Main training of {content['steps']} steps; mean and standard "
        f"deviation of {content['seeds']} seeds on {content['total']:,} test examples:\n\n"
        + table(header, rows)
    )


def main(_):
    from benchmarks.short_trainings import Bench

    console = Console(highlight=False)
    bench = Bench(_RECIPE.value, _DATA_DIR.value, _WORK_DIR.value, _TEST.value)
    parent, name = parent_model(bench)
    found = bench.score(parent)
    content = {
        "recipe": _RECIPE.value,
        "parent": name,
        "parent_value": bench.value(found),
        "total": found["total"],
        "unit": bench.unit,
        "steps": _STEPS.value,
        "seeds": _SEEDS.value,
        "entries": measure(bench, parent, console.print),
    }
    write_results(_RESULTS.value, f"initial_parameters_{_RECIPE.value}", content)
    console.print(Markdown(text(content)))
    if _WRITE.value:
        replace_between_markers(_WRITE.value, _RECIPE.value, text(content))


if __name__ == "__main__":
    app.run(main)
