"""A queue of trainings: a file with the flags of one training a line, worked off in its order.

What is complete, and from where a training goes on, is told from the files that the stages leave,
so that a queue can be killed at any moment. Each line is a process of its own. Several queues may
work at once: a model that one of them trains is passed over by the others.
"""

import contextlib
import ctypes
import dataclasses
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import flags

from recipes.files import replacing
from recipes.options import define_line_flags, folder_of, resolve
from recipes.standing import standing

QUEUE = Path(__file__).with_name("queue")
COMMAND = [sys.executable, "-m", "recipes.run"]
BUSY = 75  # exit code of a training that another process is at
ERROR_LINES = 12  # of what a failed process has written, if it names no error


class QueueError(ValueError):
    """A queue with lines that cannot be trained."""


@dataclasses.dataclass
class Line:
    """A line of the queue: its number in the file, its words, and what they mean."""

    number: int
    words: list
    values: flags.FlagValues
    settings: object
    names: list
    folder: Path  # of the recipe
    note: Path  # holds the error of the last try, if that failed
    smoke: bool

    def __str__(self):
        return shlex.join(self.words)

    def standing(self):
        return standing(self.settings, self.names, self.values.stage, self.folder, self.smoke)

    def error(self):
        return self.note.read_text(encoding="utf-8") if self.note.exists() else None


def read_queue(path, work_dir=None, smoke=False):
    """Return the `Line`s of a file.

    Raises:
        QueueError: no such file, no UTF-8 in it, or lines with unknown recipes, stages, models,
            settings or flags; all of them are named with their numbers.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueueError(f"Expected a file with a queue. Received: {path} ({error})") from None
    lines, errors = [], []
    for number, content in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(content, comments=True)
            if words:
                lines.append(_line(number, words, work_dir, smoke))
        except (flags.Error, ValueError) as error:
            errors.append(f"{path}, line {number}: {error}")
    if errors:
        raise QueueError("\n".join(errors))
    return lines


def work_off(path, work_dir, clock, smoke=False, flags_of_all=()):
    """Do every line that is not complete, in order, until the clock is over.

    Args:
        path: the file. work_dir: folder that holds one folder for each recipe.
        clock: the time there is. smoke: whether models are tiny.
        flags_of_all: flags that stand before those of each line.

    Returns:
        int: the exit code, 1 if a line failed.
    """
    lines = read_queue(path, work_dir, smoke)
    show(lines, path, [_stand(line) for line in lines])
    outcomes = {}
    for line in lines:
        if line.standing().complete:
            continue
        if clock.over():
            break
        print(f"== line {line.number}: {line}", flush=True)
        code = run_line(line, clock, flags_of_all)
        found = line.standing()
        if code == BUSY:
            outcomes[line.number] = "in the hands of another process"
        elif code:
            outcomes[line.number] = f"failed: {line.error()}"
        elif not found.complete and clock.minutes_left() is not None:
            break
        print(f"== line {line.number}: {outcomes.get(line.number, found.text)}", flush=True)
    else:
        show(lines, path, [outcomes.get(line.number, line.standing().text) for line in lines])
        return int(any(text.startswith("failed") for text in outcomes.values()))
    show(lines, path, [outcomes.get(line.number, _stand(line)) for line in lines])
    print("Time is up; the same command goes on from here.")
    return int(any(text.startswith("failed") for text in outcomes.values()))


def run_line(line, clock, flags_of_all=()):
    """Do one line in a process of its own; return the exit code. Its error is kept in a file."""
    command = [*COMMAND, *flags_of_all, *line.words]
    command += [f"--work_dir={line.folder}", *(["--smoke"] if line.smoke else [])]
    if clock.minutes_left() is not None:
        command.append(f"--max_minutes={clock.minutes_left():.3f}")
    line.note.unlink(missing_ok=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(command, stderr=errors, preexec_fn=_end_with_parent)
        try:
            code = process.wait()
        finally:
            process.kill()
        errors.seek(0)
        if code not in (0, BUSY):
            with replacing(line.note) as temporary:
                temporary.write_text(_error(errors.read(), code), encoding="utf-8")
    return code


def show(lines, path, texts):
    """Print a table of the lines and where each stands."""
    from rich.console import Console
    from rich.table import Table

    table = Table("line", "training", "state", title=str(path), title_justify="left")
    for line, text in zip(lines, texts, strict=True):
        table.add_row(str(line.number), str(line), text)
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    console.print(table)


def _line(number, words, work_dir, smoke):
    values = flags.FlagValues()
    define_line_flags(values)
    rest = values(["line", *words])[1:]
    if rest:
        raise ValueError(f"Expected flags only. Received: {' '.join(rest)}")
    if values.recipe is None:
        raise ValueError(f"Expected a --recipe. Received: {shlex.join(words)}")
    settings, names = resolve(values, smoke)
    folder = Path(folder_of(values, work_dir, smoke))
    slug = re.sub(r"[^\w.=]+", "_", " ".join(words)).strip("_")
    note = folder.parent / "failed" / f"{folder.name}_{slug}.txt"
    return Line(number, words, values, settings, names, folder, note, smoke)


def _stand(line):
    found, error = line.standing(), line.error()
    return f"failed: {error}" if error and not found.complete else found.text


def _error(text, code):
    """Return what a failed process has written of its error."""
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    at = text.rfind("\nError: ") if not text.startswith("Error: ") else 0
    if at >= 0:
        return text[at:].strip()
    return "\n".join(text.strip().splitlines()[-ERROR_LINES:]) or f"exit code {code}"


def _end_with_parent():
    """Let this process end with its parent, however that ends, where the system can (Linux)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
