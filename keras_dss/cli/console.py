"""Where the command line prints: results to standard output, progress to standard error."""

import contextlib
import logging
import os
import sys
import tempfile

from rich.console import Console

WIDTH = 120  # where the output is no terminal


def console(error=False):
    """Returns a console that neither guesses at markup nor colours numbers."""
    found = Console(stderr=error, highlight=False, markup=False, emoji=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = WIDTH
    return found


def print_table(out, table):
    """Prints a table whose titles begin at the left; one that is too wide without its margins."""
    table.title_justify = table.caption_justify = "left"
    if out.measure(table, options=out.options.update(width=1000)).maximum > out.width:
        table.padding, table.pad_edge = (0, 0), False
    out.print(table)


@contextlib.contextmanager
def quiet():
    """Holds back what libraries write to file descriptor 2; an error lets it through.

    Backends greet and warn there below Python, past every setting of theirs.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # closed by the caller
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def start_backend():
    """Imports Keras with its backend, quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with quiet():
        import keras_dss.models
    return keras_dss


def set_seeds(seed):
    """Sets the seeds of all libraries, quietly: Keras imports TensorFlow for it on any backend."""
    import keras

    with quiet():
        keras.utils.set_random_seed(seed)
