"""The command line: `python -m recipes.run --recipe=lra_listops --stage=all`."""

import math
import os
import shlex
import sys
from pathlib import Path

from absl import app, flags, logging

from recipes import options
from recipes.clock import Clock
from recipes.options import STAGES, define_line_flags, folder_of, resolve
from recipes.queue import BUSY, QUEUE, QueueError, work_off

FLAGS = flags.FLAGS
define_line_flags(FLAGS)
flags.adopt_module_key_flags(options)  # --help shows them too
flags.DEFINE_float("max_minutes", None, "Stop at a checkpoint after these minutes.", lower_bound=0)
flags.register_validator(
    "max_minutes", lambda minutes: minutes is None or math.isfinite(minutes),
    "Expected a finite number; without the flag there is no limit.",
)  # fmt: skip
flags.DEFINE_string(
    "work_dir", None,
    "With --recipe the folder of its checkpoints and results, one for each model (default: "
    "runs/RECIPE); with --queue the folder that holds one such folder for each recipe (default: "
    "runs).",
)  # fmt: skip
flags.DEFINE_bool("smoke", False, "Everything in a minute: a tiny model on a few examples.")
flags.DEFINE_bool("restart", False, "First throw away what the stage has made.")
flags.DEFINE_bool("queue", False, "Work off the queue: a line is a training's flags.")
flags.DEFINE_string("queue_file", None, f"The queue's file (default: {QUEUE}).")


def main(arguments):
    if len(arguments) > 1:
        sys.exit(f"Error: Expected flags only. Received: {' '.join(arguments[1:])}")
    logging.set_verbosity(logging.WARNING)
    try:
        if FLAGS.queue or FLAGS.queue_file is not None:
            return work_off_queue()
        if FLAGS.recipe is None:
            sys.exit(
                "Error: Expected --recipe=..., or --queue (--help says more). Received: neither"
            )
        try:
            settings, models = resolve(FLAGS, FLAGS.smoke)
        except ValueError as error:
            sys.exit(f"Error: {error}")
        train(settings, models)
    except KeyboardInterrupt:
        print(f"Interrupted; {same_command()} goes on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)


def same_command():
    """Say which command goes on with what this one leaves."""
    return "the same command without --restart" if FLAGS.restart else "the same command"


def work_off_queue():
    """Train the lines of the queue; return the exit code."""
    names = ("recipe", "stage", "model", "set", "replace_better", "restart")
    given = [f"--{name}" for name in names if FLAGS[name].present]
    if given:
        sys.exit(
            f"Error: Expected --queue without {', '.join(given)}: a line of the queue says what is "
            f"trained. Received: --queue and {', '.join(given)}"
        )
    path = Path(FLAGS.queue_file or QUEUE)
    flags_of_all = [f"--data_dir={FLAGS.data_dir}"] if FLAGS.data_dir else []
    flags_of_all += ["--resident"] if FLAGS.resident else []
    try:
        return work_off(path, FLAGS.work_dir, Clock(FLAGS.max_minutes), FLAGS.smoke, flags_of_all)
    except (QueueError, OSError) as error:
        sys.exit(f"Error: {error}")


def told(arguments):
    """The flags that a card tells: folders and pauses are the user's own."""
    arguments, kept = iter(arguments), []
    for argument in arguments:
        name, value, _ = argument.lstrip("-").partition("=")
        if name not in ("work_dir", "data_dir", "max_minutes"):
            kept.append(argument)
        elif not value:
            next(arguments, None)
    return kept


def train(settings, models):
    """Do the stages of one recipe."""
    folder = Path(FLAGS.work_dir or folder_of(FLAGS, smoke=FLAGS.smoke))
    if FLAGS.smoke:  # never into the real zoo, nor into the real cache of data sets
        for variable, name in (("KERAS_DSS_ZOO_DIR", "zoo"), ("KERAS_DSS_CACHE_DIR", "cache")):
            os.environ.setdefault(variable, str((folder / name).absolute()))

    from keras_dss import keep_freed_memory  # only now is a backend loaded
    from recipes.files import CheckpointError, FolderInUse
    from recipes.stages import StageError, Stages
    from recipes.training import TrainingDiverged

    keep_freed_memory()
    stages = Stages(
        settings,
        folder,
        FLAGS.data_dir,
        Clock(FLAGS.max_minutes),
        shlex.join(["python", "-m", "recipes.run", *told(sys.argv[1:])]),
        FLAGS.smoke,
        FLAGS.resident,
        FLAGS.replace_better,
    )
    try:
        if FLAGS.restart:
            stages.restart(FLAGS.stage, models)
        for stage in STAGES if FLAGS.stage == "all" else [FLAGS.stage]:
            print(f"== {FLAGS.recipe}: {stage}", flush=True)
            if not stages.run(stage, models):
                print(f"Time is up; {same_command()} goes on from here.")
                return
    except FolderInUse as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(BUSY)
    except (StageError, CheckpointError, TrainingDiverged, ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"Done; results in {folder}")


if __name__ == "__main__":
    app.run(main)
