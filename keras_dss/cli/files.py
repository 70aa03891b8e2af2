"""Files that appear all together, whole, when a command has done its work."""

import contextlib
import json
import math
import os
import tempfile
from pathlib import Path

from keras_dss.cli.errors import UsageError


def check_output(given, suffixes, overwrite):
    """Returns the paths to write, one for each suffix, the first being `given`.

    Raises:
        UsageError: for another suffix, a missing folder or one that cannot be written to, and
            files that are there already, unless they may be overwritten.
    """
    path = Path(given).expanduser()
    if path.suffix != suffixes[0]:
        raise UsageError(f"expected --output=FILE{suffixes[0]}. Received: --output={given}")
    if not path.parent.is_dir():
        raise UsageError(
            f"expected --output in an existing folder; make it first: mkdir -p {path.parent} "
            f"Received: --output={given}"
        )
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UsageError(
            f"expected --output in a writable folder. Received: --output={given} ({error.strerror})"
        ) from None
    paths = [path.with_name(path.stem + suffix) for suffix in suffixes]
    for each in paths:
        if each.is_dir():
            raise UsageError(f"expected --output to name files. Received: the folder {each}")
    found = [each.name for each in paths if each.exists()]
    if found and not overwrite:
        raise UsageError(
            f"expected --output to name new files, or --overwrite. "
            f"Received: {path.parent} has {' and '.join(found)} already"
        )
    return paths


@contextlib.contextmanager
def replacing(paths):
    """Gives temporary paths, which take the places of `paths` if the block ends without an error.

    The last path is renamed last: where it is new, all of them are.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing([Path(folder) / "a.txt"]) as (temporary,):
    ...         _ = temporary.write_text("whole")
    ...     os.listdir(folder)
    ['a.txt']
    """
    folder = tempfile.mkdtemp(dir=paths[0].parent, prefix=f".{paths[0].stem}.")
    temporary = [Path(folder) / path.name for path in paths]
    try:
        yield temporary
        for each in temporary:
            each.chmod(0o644)
            with open(each, "rb") as file:
                os.fsync(file.fileno())
        for each, path in zip(temporary, paths, strict=True):
            os.replace(each, path)
    finally:
        for each in temporary:
            each.unlink(missing_ok=True)
        os.rmdir(folder)


def relative_to(path, beside):
    """Returns how to get to `path` from the folder of the file `beside`; None for no path.

    >>> relative_to(Path("models/a.keras"), Path("models/small/a.report.json"))
    '../a.keras'
    """
    if path is None:
        return None
    return os.path.relpath(path.parent.resolve() / path.name, beside.parent.resolve())


def write_json(path, content):
    """Writes JSON; numbers that are not finite, which it does not know, become null."""
    text = json.dumps(finite(content), indent=2, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def finite(value):
    """Returns `value` with None for every float that is not finite.

    >>> finite({"a": [1.0, float("inf")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
