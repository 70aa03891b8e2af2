"""The command line: `python -m recipes.run --recipe=lra_listops --stage=all`."""

import importlib
import os
import shlex
import sys
from pathlib import Path

from absl import app, flags, logging

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

FLAGS = flags.FLAGS
flags.DEFINE_enum("recipe", None, RECIPES, "The recipe.")
flags.DEFINE_enum("stage", "all", ["all", *STAGES], "What to do; what is complete is skipped.")
flags.DEFINE_list("model", [], "Only these models, such as n16_bt (default: all).")
flags.DEFINE_float("max_minutes", None, "Stop at a checkpoint after these minutes.", lower_bound=0)
flags.DEFINE_string("work_dir", None, "Folder of checkpoints and results (default: runs/RECIPE).")
flags.DEFINE_string("data_dir", None, "Folder of the data (default: KERAS_DSS_DATA_DIR).")
flags.DEFINE_multi_string("set", [], "A setting, such as pretrain.epochs=3; may be repeated.")
flags.DEFINE_bool("smoke", False, "Everything in a minute: a tiny model on a few examples.")
flags.DEFINE_bool("resident", False, "Hold the training data in the accelerator's memory.")
flags.DEFINE_bool("restart", False, "First throw away what the stage has made.")


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Expected flags only. Received: {' '.join(arguments[1:])}")
    logging.set_verbosity(logging.WARNING)
    settings = importlib.import_module(f"recipes.{FLAGS.recipe}").settings
    folder = Path(FLAGS.work_dir or f"runs/{FLAGS.recipe}{'_smoke' if FLAGS.smoke else ''}")
    try:
        settings = override(settings, [*(SMOKE if FLAGS.smoke else ()), *FLAGS.set])
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    if FLAGS.smoke:  # never into the real zoo, nor into the real cache of data sets
        for variable, name in (("KERAS_DSS_ZOO_DIR", "zoo"), ("KERAS_DSS_CACHE_DIR", "cache")):
            os.environ.setdefault(variable, str((folder / name).absolute()))

    from recipes.files import CheckpointError
    from recipes.stages import StageError, Stages  # only now is a backend loaded
    from recipes.training import Clock, TrainingDiverged

    # the card's command: folders are the user's own
    told = [a for a in sys.argv[1:] if not a.lstrip("-").startswith(("work_dir=", "data_dir="))]
    command = shlex.join(["python", "-m", "recipes.run", *told])
    stages = Stages(
        settings,
        folder,
        FLAGS.data_dir,
        Clock(FLAGS.max_minutes),
        command,
        FLAGS.smoke,
        FLAGS.resident,
    )
    try:
        if FLAGS.restart:
            stages.restart(FLAGS.stage, FLAGS.model)
        for stage in STAGES if FLAGS.stage == "all" else [FLAGS.stage]:
            print(f"== {FLAGS.recipe}: {stage}", flush=True)
            if not stages.run(stage, FLAGS.model):
                print("Time is up; the same command goes on from here.")
                return
    except (StageError, CheckpointError, TrainingDiverged, ValueError) as error:
        sys.exit(f"Error: {error}")
    print(f"Done; results in {folder}")


if __name__ == "__main__":
    flags.mark_flag_as_required("recipe")
    app.run(main)
