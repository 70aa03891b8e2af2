"""The flags of a training, on the command line and in the lines of a queue."""

import importlib

from absl import flags

from recipes.settings import override

TASKS = (
    "lra_listops", "lra_text", "lra_retrieval", "lra_image", "lra_pathfinder", "lra_pathx",
    "scisumm", "smnist", "fsdd", "etth1", "shakespeare",
)  # fmt: skip
RECIPES = (*TASKS, *(f"{task}_base" for task in TASKS[:7]))
STAGES = ("pretrain", "reduce", "train", "evaluate", "publish")
SMOKE = (
    "state_size=6", "children=n3_bt,n3", "model.features=4", "model.num_blocks=1",
    "model.downsampling=None", "calibration=4", "num_lengths=1",
    "pretrain.epochs=2", "pretrain.batch_size=8", "train.epochs=2", "train.batch_size=8",
)  # fmt: skip


def define_line_flags(values):
    """Define what may stand in a line of a queue: what is trained, and how."""
    flags.DEFINE_enum("recipe", None, RECIPES, "The recipe.", flag_values=values)
    flags.DEFINE_enum(
        "stage", "all", ["all", *STAGES], "What to do; what is complete is skipped.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "model", [], "Only these models, such as n16_bt (default: all).", flag_values=values
    )
    flags.DEFINE_multi_string(
        "set", [], "A setting, such as pretrain.epochs=3; may be repeated.", flag_values=values
    )
    flags.DEFINE_string(
        "data_dir", None, "Folder of the data (default: KERAS_DSS_DATA_DIR).", flag_values=values
    )
    flags.DEFINE_bool(
        "resident", False, "Hold the training data in the accelerator's memory.", flag_values=values
    )
    flags.DEFINE_bool(
        "replace_better", False, "Publish even where a better model is published.",
        flag_values=values,
    )  # fmt: skip


def resolve(values, smoke=False):
    """Return the settings and the models' full names that the flags name.

    Args:
        values: parsed flags of `define_line_flags`.
        smoke: whether models are tiny; `n128` is then the tiny parent, `n16_bt` the tiny child.

    Raises:
        ValueError: an unknown setting or model.
    """
    recipe = importlib.import_module(f"recipes.{values.recipe}").settings
    settings = override(recipe, values.set)
    if not smoke:
        return settings, settings.select(values.model)
    tiny = override(recipe, [*SMOKE, *values.set])
    return tiny, tiny.select([_tiny(name, settings, tiny) for name in values.model])


def folder_of(values, work_dir=None, smoke=False):
    """Return the name of the folder of a recipe's checkpoints and results in `work_dir`."""
    return f"{work_dir or 'runs'}/{values.recipe}{'_smoke' if smoke else ''}"


def _tiny(name, settings, tiny):
    try:
        return tiny.select([name])[0]
    except ValueError:
        child = settings.models[settings.select([name])[0]]
    start = child and child.start
    return next(name for name, child in tiny.models.items() if (child and child.start) == start)
