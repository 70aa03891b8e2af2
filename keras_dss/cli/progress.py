"""What a person sees while a command works: a bar for the stage at work, a line for each done."""

import contextlib
import time

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from keras_dss.cli.console import console

DESCRIPTION = 30  # characters in front of the bar


class Stages:
    """The stages of a command, one after another; `seconds` has the time of each.

    Progress goes to standard error: bars on a terminal, lines alone elsewhere.
    """

    def __init__(self):
        self.seconds, self.console = {}, console(error=True)

    @contextlib.contextmanager
    def stage(self, key, description, total=None):
        """Gives a `Bar`; `total` is in any unit, None where nobody knows."""
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30),
            TextColumn("{task.fields[facts]}"),
        )  # fmt: skip
        shown = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not shown) as bars:
            task = bars.add_task(description.ljust(DESCRIPTION), total=total, facts="")
            bar = Bar(bars, task, total)
            yield bar
        self.seconds[key] = bar.seconds
        self.say(f"{description.ljust(DESCRIPTION)} {bar.seconds:7.1f} s  {bar.result}".rstrip())

    def say(self, text):
        self.console.print(text, soft_wrap=True)


class Bar:
    """One stage at work. `result` is what its line says in the end."""

    def __init__(self, bars, task, total):
        self.bars, self.task, self.total = bars, task, total
        self.started, self.done, self.result = time.monotonic(), 0, ""

    def advance(self, amount=1):
        """Counts work of a known total; the time left follows from the speed so far."""
        self.done += amount
        left = self.seconds * (self.total / self.done - 1.0)
        self.bars.update(
            self.task,
            completed=self.done,
            facts=f"{self.done:,} of {self.total:,}  {clock(left)} left",
        )

    @property
    def seconds(self):
        return time.monotonic() - self.started

    def show(self, completed, facts):
        self.bars.update(self.task, completed=completed, facts=facts)


def clock(seconds):
    """Returns minutes and seconds.

    >>> clock(83.2)
    '1:23'
    """
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    return f"{minutes}:{seconds:02d}"
