"""What `--help` prints."""

import math

from absl import flags
from rich.padding import Padding
from rich.table import Table

from keras_dss.cli.console import console

flags.disclaim_key_flags()  # those of `define_float` are its caller's


def overview(commands):
    out = console()
    out.print("Usage: keras-dss COMMAND ...\n")
    out.print("State space models for long sequences in Keras, and small ones made from them.\n")
    grid = _grid()
    for command in commands:
        grid.add_row(" ".join([command.NAME, *command.ARGUMENTS]), command.SUMMARY)
    grid.add_row("help COMMAND", "The flags of a command, with examples; the same as --help.")
    grid.add_row("--version", "The version of keras_dss.")
    out.print(Padding(grid, (0, 0, 0, 2)))
    out.print("\nPublished models lie in the package, or in the folder $KERAS_DSS_ZOO_DIR.")
    out.print("The backend is chosen by $KERAS_BACKEND: tensorflow, jax or torch.")


def command_help(command, values):
    out = console()
    usage = " ".join(["Usage: keras-dss", command.NAME, *command.ARGUMENTS, command.FLAGS])
    out.print(f"{usage.strip()}\n", soft_wrap=True)
    out.print(f"{command.SUMMARY}\n")
    if command.DETAILS:
        out.print(f"{command.DETAILS}\n")
    grid = _grid()
    for flag in own_flags(values):
        grid.add_row(_spelling(flag, getattr(command, "SPELLINGS", {})), _meaning(flag))
    out.print("Flags:")
    out.print(Padding(grid, (0, 0, 0, 2)))
    out.print("\nExamples:" if len(command.EXAMPLES) > 1 else "\nExample:")
    for example in command.EXAMPLES:
        out.print(f"  {example}", soft_wrap=True)


def own_flags(values):
    """The flags of a command in the order in which it defines them."""
    return [flag for found in values.flags_by_module_dict().values() for flag in found]


def changed_flags(values):
    """The flags that were given."""
    return [flag for flag in own_flags(values) if flag.present]


class _FiniteParser(flags.FloatParser):
    """Numbers within bounds, neither infinite nor nan."""

    def convert(self, argument):
        number = super().convert(argument)
        if not math.isfinite(number):
            raise ValueError(f"expected a finite number. Received: {argument}")
        return number


def define_float(name, default, meaning, lower_bound, flag_values):
    """Defines a flag that takes a finite number of at least `lower_bound`."""
    parser, serializer = _FiniteParser(lower_bound), flags.ArgumentSerializer()
    flags.DEFINE(parser, name, default, meaning, flag_values, serializer)


def _grid():
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    return grid


def _spelling(flag, spellings):
    if flag.boolean:
        return f"--[no]{flag.name}" if flag.default else f"--{flag.name}"
    return f"--{flag.name}={spellings.get(flag.name) or _kind(flag)}"


def _kind(flag):
    kinds = {"int": "N", "float": "X"}
    names = {"output": "FILE.keras", "data_dir": "FOLDER", "work_dir": "FOLDER", "rank": "R"}
    names |= {"tolerance": "X", "budget": "B"}
    return names.get(flag.name) or kinds.get(flag.flag_type(), flag.name.upper())


def _meaning(flag):
    choices = getattr(flag.parser, "enum_values", None)
    text = flag.help.partition(">: ")[2] if choices else flag.help  # absl puts them in front
    if choices:
        text += f" One of {', '.join(choices)}."
    if flag.default is None or flag.boolean:
        return text
    default = f"{flag.default:g}" if isinstance(flag.default, float) else flag.default
    return f"{text} Default: {default}."
