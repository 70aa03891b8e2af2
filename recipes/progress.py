"""What a person sees while a model trains: a progress bar, or one log line every half minute."""

import sys
import time
from datetime import timedelta

_LINE_SECONDS = 30.0


class Progress:
    """Report of one training. A bar on a terminal, plain lines elsewhere (`nohup` logs).

    Args:
        name: the model's name.
        total: number of steps in all.
        done: steps that were done before (after a resume).
        steps_per_epoch: for the epoch counter.
        metric: the name of what stands beside the loss.
    """

    def __init__(self, name, total, done, steps_per_epoch, metric="accuracy"):
        self.name, self.total, self.steps_per_epoch = name, total, steps_per_epoch
        self.samples, self.first, self.loss, self.value = None, done, None, None
        self.metric = metric
        self.started = self.line = time.monotonic()
        self.bar = None
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}"),
            )  # fmt: skip
            self.task = self.bar.add_task(name, total=total, completed=done, facts="compiling")

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def step(self, step, samples, loss, value):
        """Count steps; `loss` and the metric's value are of their batches, smoothed for the eye."""
        if self.samples is None:  # the first step compiles: its time says nothing of the rest
            self.started, self.first, self.samples = time.monotonic(), step, 0
        else:
            self.samples += samples
        keep = 0.98 if self.loss is not None else 0.0
        self.loss = keep * (self.loss or 0.0) + (1.0 - keep) * loss
        self.value = keep * (self.value or 0.0) + (1.0 - keep) * value
        if self.bar:
            self.bar.update(self.task, completed=step, facts=self._facts(step))
        elif time.monotonic() - self.line >= _LINE_SECONDS:
            self.line = time.monotonic()
            print(f"{self.name}  step {step}/{self.total}  {self._facts(step)}", flush=True)

    def say(self, text):
        """Print a line of lasting interest (an epoch's end, the reason of a stop)."""
        if self.bar:
            self.bar.console.print(f"{self.name}  {text}", highlight=False, markup=False)
        else:
            print(f"{self.name}  {text}", flush=True)

    def _facts(self, step):
        facts = f"epoch {step / self.steps_per_epoch:.2f}  loss {self.loss:.4f}"
        form = ".1%" if self.metric == "accuracy" else ".4f"
        facts += f"  {self.metric} {self.value:{form}}"
        steps, seconds = step - self.first, time.monotonic() - self.started
        if steps > 0:
            left = timedelta(seconds=round(seconds / steps * (self.total - step)))
            facts += f"  {self.samples / seconds:.1f} samples/s  {left} left"
        return facts
