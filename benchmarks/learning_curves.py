"""Learning curves of the published models, from the work folders of their recipes.

    python -m benchmarks.learning_curves --work_dir=runs --write=docs/learning_curves.md

`--work_dir` holds one folder for each recipe, as `python -m recipes.run` leaves it. The history of
every model whose weights are those in the zoo goes to benchmarks/results/history_NAME.json, behind
those of its earlier trainings if it went on from them; the pictures and tables are drawn from all
of these files, those of earlier runs among them.
"""

import json
from pathlib import Path

from absl import app, flags
from rich.console import Console

from benchmarks.data_tables.tables import table
from benchmarks.documents import replace_between_markers, write_results
from benchmarks.histories import earlier, histories, joined

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder with one folder for each recipe.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the histories as JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that shows the curves.")


def collect(work_dir, results, say):
    """Keep the histories of those models in a work folder that are published."""
    import keras
    import numpy as np

    from keras_dss import zoo

    for path in sorted(Path(work_dir).glob("*/*/training.json")):
        name = path.parent.name
        if name not in zoo.list():
            continue
        ours, published = keras.saving.load_model(path.with_name("model.keras")), zoo.load(name)
        pairs = zip(ours.get_weights(), published.get_weights(), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            say(f"{name}: other weights than those published; left out")
            continue
        facts, card = json.loads(path.read_text()), zoo.card(name)
        last = {key: facts[key] for key in ("history", "minutes", "best_step", "steps")}
        trainings = [*earlier(path, results, card), {"version": card["version"]} | last]
        content = {"name": name, "recipe": card["recipe"], "trainings": trainings}
        write_results(results, f"history_{name}", content)
        say(f"{name}: kept")


def section(recipe, models, folder):
    """Markdown of one recipe, with its picture beside the document."""
    from recipes import curves

    picture = Path(folder) / f"curves_{recipe}.png"
    whole = {name: joined(content["trainings"]) for name, content in models.items()}
    curves.draw_comparison(whole, recipe, picture)
    metric = "accuracy" if "accuracy" in next(iter(whole.values()))[0] else "mae"
    rows = []
    for name, content in models.items():
        last = content["trainings"][-1]
        own = whole[name][-len(last["history"]) :]
        best = next(row for row in own if row["step"] == last["best_step"])
        rows.append([
            f"`{name}`", last["version"], f"{best['epoch']:g}",
            f"{best['loss']:.4f}", f"{best['validation_loss']:.4f}",
            f"{best[f'validation_{metric}']:.4f}",
            _minutes(sum(training["minutes"] for training in content["trainings"])),
        ])  # fmt: skip
    header = ["model", "version", "best epoch", "training loss", "validation loss"]
    header += [f"validation {metric}", "minutes"]
    return f"## {recipe}\n\n![{recipe}]({picture.name})\n\n{table(header, rows)}"


def _minutes(minutes):
    return f"{minutes:.0f}" if minutes >= 9.5 else f"{minutes:.1f}"


def main(_):
    console = Console(highlight=False)
    if _WORK_DIR.value:
        collect(_WORK_DIR.value, _RESULTS.value, console.print)
    if _WRITE.value:
        folder = Path(_WRITE.value).parent
        parts = [section(*item, folder) for item in histories(_RESULTS.value).items()]
        replace_between_markers(_WRITE.value, "curves", "\n\n".join(parts))


if __name__ == "__main__":
    app.run(main)
