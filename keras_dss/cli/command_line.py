"""`keras-dss COMMAND ...`: finds the command, reads its flags, turns errors into one line."""

import sys
import traceback

from absl import flags

from keras_dss.cli import compress, evaluate, export, info, listing, report, search
from keras_dss.cli.errors import UsageError, near
from keras_dss.cli.usage import command_help, overview, own_flags
from keras_dss.memory import keep_freed_memory
from keras_dss.version import __version__

COMMANDS = {
    command.NAME: command for command in (listing, info, evaluate, compress, search, report, export)
}
HELP = {"--help", "-help", "-h", "help"}
MESSAGE_LENGTH = 800  # what backends say of an error may fill screens


def main(arguments=None):
    """Runs one command line and returns its exit code.

    Args:
        arguments: list of strings after the program's name; those of the process if None.

    Returns:
        0 when all was done, 1 for an error at work, 2 for a command line that does not fit, 130
        when interrupted. Of an error one line is written to standard error, and with `--debug`
        its traceback.

    Example:

    >>> main(["compress", "mine.keras"])
    2
    """
    if arguments is None:
        keep_freed_memory()
        arguments = sys.argv[1:]
    debug = any(argument in ("--debug", "-debug") for argument in arguments)
    try:
        _run(arguments)
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted; no output was written", 130, debug)
    except UsageError as error:
        return _fail(str(error), 2, debug)
    except BrokenPipeError:  # `keras-dss list | head`
        return 1
    except Exception as error:
        expected = isinstance(error, ValueError | TypeError | OSError | RuntimeError)
        kind = "" if expected else f"unexpected {type(error).__name__}: "
        return _fail(f"{kind}{error or type(error).__name__}", 1, debug)


def _run(arguments):
    if arguments[:1] == ["--version"]:
        print(f"keras_dss {__version__}")
        return
    if not arguments or arguments[0] in HELP:
        topic = arguments[1:2]
        if topic and topic[0] in COMMANDS:
            command_help(COMMANDS[topic[0]], _flags(COMMANDS[topic[0]]))
        else:
            overview(COMMANDS.values())
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(
            f"expected a command, one of {', '.join(COMMANDS)}{near(name, COMMANDS)} "
            f"Received: {name!r}"
        )
    command = COMMANDS[name]
    values = _flags(command)
    if HELP & set(rest):
        command_help(command, values)
        return
    command.run(_parse(command, values, rest), values)


def _flags(command):
    """The flags of one command; those of other programs in the process stay apart."""
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow the arguments
    command.define(values)
    flags.DEFINE_bool("debug", False, "Show the traceback of an error.", flag_values=values)
    return values


def _parse(command, values, rest):
    """Reads the flags into `values`; returns the arguments that are none."""
    try:
        arguments = values([command.NAME, *rest])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = near(error.flagname, [flag.name for flag in own_flags(values)], "--")
        raise UsageError(
            f"{command.NAME} has no flag --{error.flagname}{hint or ';'} "
            f"`keras-dss {command.NAME} --help` lists its flags"
        ) from None
    except flags.Error as error:
        raise UsageError(f"{command.NAME}: {error}") from None
    if len(arguments) != len(command.ARGUMENTS):
        expected = " ".join(command.ARGUMENTS) or "no argument"
        received = " ".join(arguments) or "none"
        raise UsageError(
            f"expected `keras-dss {command.NAME}` with {expected}, and flags as --flag=value. "
            f"Received: {received}"
        )
    return arguments


def _fail(message, code, debug):
    if debug:
        traceback.print_exc()
    line = " ".join(message.split())
    if len(line) > MESSAGE_LENGTH:
        half = MESSAGE_LENGTH // 2
        line = f"{line[:half]} ... {line[-half:]}"
    print(f"keras-dss: {line}", file=sys.stderr)
    return code
