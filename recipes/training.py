"""Training that can be killed at any moment.

The weights after step k are a function of (settings, seed, data) alone: the order of the data
follows from (seed, epoch), the learning rate from the step, random masks from seeds that are part
of the checkpoint. Where a run was stopped, and how often it was saved, leaves no trace.
"""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_dss import scoring
from keras_dss.optimizers import DSSAdamW
from recipes import curves
from recipes.clock import Clock
from recipes.data import SEQUENCE, STEPS
from recipes.files import CheckpointError, read_checkpoint, write_checkpoint, write_csv
from recipes.origin import describe_differences
from recipes.progress import Progress
from recipes.step_labels import with_head

DRAW_SECONDS = 30.0  # between two pictures of a training
VALIDATION_PAUSE = 10.0  # seconds after a checkpoint in which a validation writes none


class TrainingDiverged(ArithmeticError):
    """The loss, or a weight, is no longer a finite number."""


@dataclass
class State:
    """Everything a training knows besides the variables of the model and the optimizer."""

    step: int = 0
    seconds: float = 0.0  # of training and validation, over all resumed runs
    loss_sum: float = 0.0  # of the training batches since the last validation
    metric_sum: float = 0.0
    samples: int = 0
    best: dict | None = None  # metrics of the best validation
    best_step: int = 0
    history: list = field(default_factory=list)


def learning_rate_schedule(settings, total):
    """Return the schedule: linear from 0 to the learning rate, then half a cosine down to 0."""
    warmup = round(settings.warmup * total)
    start = 0.0 if warmup else settings.learning_rate
    target = settings.learning_rate if warmup else None
    return keras.optimizers.schedules.CosineDecay(
        start, max(total - warmup, 1), warmup_target=target, warmup_steps=warmup
    )


class Training:
    """One resumable training of `model`; `run` does it, `folder` holds its files.

    Files: `checkpoint.npz` (everything), `history.csv`, `curves.png`.

    Args:
        model: the model.
        kind: of its task, see `keras_dss.scoring`.
        data: training batches, `Epochs` or a `Curriculum` of `recipes.data`: `epoch(number, start)`
            gives the (x, labels) batches of that epoch from batch `start` on, a pure function of
            its arguments.
        validation: a function that returns the validation batches.
        settings: `TrainingSettings`.
        seed: seed of the random masks.
        folder: where the files are.
        name: the model's name, for messages and pictures.
        identity: JSON-able description of what is trained; a checkpoint of another one is refused.
        step_weights: how much each label of a step counts, if `settings` want them learned too.
        checkpoint_minutes: time between two checkpoints; validations also write one, unless one was
            written seconds ago.
    """

    def __init__(
        self, model, data, validation, settings, *, seed, folder, name, identity,
        kind="classification", step_weights=(), checkpoint_minutes=2.0,
    ):  # fmt: skip
        self.kind, self.metric = kind, scoring.metric_name(kind)
        self.model, self.data, self.validation, self.settings = model, data, validation, settings
        self.trained, self.step_loss = model, None
        if settings.step_labels:
            self.trained, self.step_loss = with_head(model, step_weights)
        self.seed, self.folder, self.name = seed, Path(folder), name
        self.checkpoint_seconds = 60.0 * checkpoint_minutes
        self.pause = min(VALIDATION_PAUSE, self.checkpoint_seconds)
        backend = {"name": keras.backend.backend(), "keras": keras.__version__}
        self.identity = {
            **identity, "seed": seed, "training": dataclasses.asdict(settings), "backend": backend,
        }  # fmt: skip
        self.total = settings.epochs * data.steps_per_epoch
        self.state, self.best = State(), None
        self._compile()
        if self.path.exists():
            self._load()

    @property
    def path(self):
        return self.folder / "checkpoint.npz"

    @property
    def complete(self):
        return self.state.step >= self.total

    def run(self, clock=None):
        """Train until all epochs are done or the clock is over; return whether all are done.

        Raises:
            TrainingDiverged: a loss or weight is not finite. The last checkpoint is from before.
        """
        clock, state = clock or Clock(), self.state
        steps = self.data.steps_per_epoch
        every = self.settings.validate_every or steps
        if keras.backend.backend() == "tensorflow" and not self.complete:
            self._trace()
        with Progress(self.name, self.total, state.step, steps, self.metric) as progress:
            now = self.saved = self.drawn = time.monotonic()
            self.began = now - state.seconds
            while not self.complete:
                for count, examples, loss, metric in self._steps(*divmod(state.step, steps), every):
                    self._count(count, examples, loss, metric, progress)
                    if state.step % steps == 0 or state.step % steps % every == 0:
                        self._validate(progress)
                        if self.complete or time.monotonic() - self.saved >= self.pause:
                            self._save()
                        if time.monotonic() - self.drawn >= DRAW_SECONDS:
                            self.draw()
                    elif time.monotonic() - self.saved >= self.checkpoint_seconds:
                        self._save()
                    if clock.over() and not self.complete:
                        self._save()
                        self.draw()
                        progress.say(f"stopped at step {state.step} of {self.total}: time is up")
                        return False
        self.draw()
        return True

    def draw(self):
        """Write the history and its curves, if there are any yet."""
        if self.state.history:
            write_csv(self.folder / "history.csv", self.state.history)
            curves.draw_training(self.state.history, self.name, self.folder / "curves.png")
            self.drawn = time.monotonic()

    def _compile(self):
        settings = self.settings
        self.optimizer = DSSAdamW(
            learning_rate_schedule(settings, self.total),
            weight_decay=settings.weight_decay,
            ssm_learning_rate_scale=settings.ssm_learning_rate_scale,
            step_learning_rate_scale=settings.step_learning_rate_scale,
            global_clipnorm=settings.clip_norm,
        )
        loss = scoring.make_loss(self.kind, settings.label_smoothing)
        metric = scoring.make_metric(self.kind)
        if self.step_loss:
            losses = {SEQUENCE: loss, STEPS: self.step_loss}
            weights = {SEQUENCE: 1.0, STEPS: settings.step_labels}
            given = {"loss": losses, "loss_weights": weights, "metrics": {SEQUENCE: [metric]}}
        else:
            losses, weights, given = loss, 1.0, {"loss": loss, "metrics": [metric]}
        self.trained.compile(optimizer=self.optimizer, **given)
        self.optimizer.build(self.trained.trainable_variables)
        self.compiled = None
        if keras.backend.backend() == "jax" and getattr(self.data, "resident", False):
            from recipes import compiled

            if compiled.worthwhile(self.data):
                self.compiled = compiled.Steps(
                    self.trained, self.optimizer, losses, weights, metric, self.data
                )

    def _trace(self):
        """Trace TensorFlow's graphs in an order of their own, then undo the steps.

        TensorFlow generalises a graph to the shapes that it meets, and rounds differently in each:
        without this, the last bits would depend on where a run was resumed.
        """
        before = [keras.ops.convert_to_numpy(v) for v in self._variables()]
        for x, labels in self.data.shapes():
            self.trained.train_on_batch(x, labels)
        for variable, value in zip(self._variables(), before, strict=True):
            variable.assign(value)

    def _steps(self, epoch, start, every):
        """Train from batch `start` of an epoch on; yield steps, examples, loss and metric of each
        piece, which ends no later than the next validation.
        """
        batches = self.data.epoch(epoch, start)
        if not self.compiled:
            for x, labels in batches:
                yield 1, len(x), *self._step(x, labels)
            return
        plan = batches.plan
        while plan:
            piece = plan[: min(every - start % every, self.compiled.most)]
            plan, start = plan[len(piece) :], start + len(piece)
            means = self.compiled(piece, self.data.of(epoch))
            yield len(piece), sum(len(rows) for rows, _ in piece), *means

    def _step(self, x, labels):
        if keras.backend.backend() == "torch":
            # Keras' torch dropout without a seed of its own draws from torch's global generator.
            import torch

            entropy = np.random.SeedSequence([self.seed, self.state.step])
            torch.manual_seed(entropy.generate_state(1)[0])
        logs = self.trained.train_on_batch(x, labels, return_dict=True)
        metric = f"{SEQUENCE}_{self.metric}" if self.step_loss else self.metric
        return float(logs["loss"]), float(logs[metric])

    def _count(self, steps, examples, loss, metric, progress):
        state = self.state
        state.step += steps
        if not np.isfinite(loss):
            raise self._diverged(f"loss {loss}")
        state.loss_sum += loss * examples
        state.metric_sum += metric * examples
        state.samples += examples
        progress.step(state.step, examples, loss, metric)

    def _validate(self, progress):
        state = self.state
        found = scoring.score(self.model, self.validation(), self.kind)
        if state.best is None or scoring.rank(found) > scoring.rank(state.best):
            state.best, state.best_step = found, state.step
            self.best = [keras.ops.convert_to_numpy(w) for w in self.model.weights]
        row = {
            "epoch": round(state.step / self.data.steps_per_epoch, 4),
            "step": state.step,
            "loss": state.loss_sum / state.samples,
            self.metric: state.metric_sum / state.samples,
            "validation_loss": scoring.loss_of(found),
            f"validation_{self.metric}": found[self.metric],
            "learning_rate": float(keras.ops.convert_to_numpy(self.optimizer.learning_rate)),
            "minutes": round((time.monotonic() - self.began) / 60.0, 3),
        }
        state.history.append(row)
        state.loss_sum, state.metric_sum, state.samples = 0.0, 0.0, 0
        progress.say(
            f"epoch {row['epoch']:g}  loss {row['loss']:.4f}  "
            f"validation loss {row['validation_loss']:.4f}  {scoring.say(found)}  "
            f"best {scoring.say(state.best)}  {row['minutes']:.1f} min"
        )

    def _variables(self):
        """Return every variable that a step reads or writes: weights, seeds, optimizer."""
        return [*self.trained.variables, *self.optimizer.variables]

    def _save(self):
        values = [keras.ops.convert_to_numpy(v) for v in self._variables()]
        for variable, value in zip(self._variables(), values, strict=True):
            if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
                raise self._diverged(f"values of {variable.path} that are not finite")
        arrays = {f"variable/{i}": value for i, value in enumerate(values)}
        arrays |= {f"best/{i}": value for i, value in enumerate(self.best or [])}
        self.state.seconds = time.monotonic() - self.began
        meta = {
            "identity": self.identity, "state": dataclasses.asdict(self.state),
            "total": self.total,
        }  # fmt: skip
        write_checkpoint(self.path, arrays, meta)
        self.saved = time.monotonic()

    def _load(self):
        arrays, meta = read_checkpoint(self.path)
        differences = describe_differences(self.identity, meta["identity"])
        if differences:
            raise CheckpointError(
                "Expected a checkpoint of the same training; take the former settings, another "
                f"--work_dir, or --restart. Received: {self.path} with {'; '.join(differences)}"
            )
        values = [arrays.get(f"variable/{i}", np.empty(0)) for i in range(len(self._variables()))]
        for variable, value in zip(self._variables(), values, strict=True):
            if value.shape != tuple(variable.shape):
                raise CheckpointError(
                    f"Expected {variable.path} of shape {tuple(variable.shape)} in {self.path}; "
                    f"begin again with --restart. Received: {value.shape}"
                )
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        self.best = [arrays[f"best/{i}"] for i in range(sum(k[:5] == "best/" for k in arrays))]
        self.state = State(**meta["state"])

    def _diverged(self, what):
        kept = f"The last checkpoint, before it, is kept: {self.path}" if self.path.exists() else ""
        return TrainingDiverged(
            f"{self.name}: expected finite numbers; lower the learning rate and --restart. {kept} "
            f"Received: {what} at step {self.state.step} of {self.total}"
        )
