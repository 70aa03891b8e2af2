"""Print the table of published models, write it into a file or check the one that is there.

python -m keras_dss.zoo.table [--write=README.md | --check=README.md]
"""

import os
import sys
from pathlib import Path

from absl import app, flags

from keras_dss.zoo.table import insert, markdown_table

_WRITE = flags.DEFINE_string("write", None, "File whose table, between its markers, is renewed.")
_CHECK = flags.DEFINE_string("check", None, "File whose table must be the current one.")
flags.mark_flags_as_mutual_exclusive(["write", "check"])


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Expected flags alone. Received: {argv[1:]}.")
    given = _WRITE.value or _CHECK.value
    if not given:
        print(markdown_table())
        return
    path = Path(given)
    try:
        old = path.read_text(encoding="utf-8")
        new = insert(old)
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")
    if new == old:
        return
    if _CHECK.value:
        sys.exit(
            f"{path}: expected the table of the published models. Received: another one; "
            f"renew it by `python -m keras_dss.zoo.table --write={path}`."
        )
    scratch = path.with_name(f".{path.name}.{os.getpid()}.new")
    scratch.write_text(new, encoding="utf-8")
    os.replace(scratch, path)


if __name__ == "__main__":
    app.run(main)
