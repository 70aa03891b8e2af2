"""Where benchmarks leave what they found."""

import datetime
import json
import re
from pathlib import Path

from recipes.files import replacing


def replace_between_markers(path, name, text):
    """Writes `text` between the markers of `name` in a Markdown file, atomically."""
    with open(path) as file:
        document = file.read()
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in document or end not in document:
        raise ValueError(f"Expected the markers {start} and {end} in {path}. Received: neither")
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    document = pattern.sub(lambda _: f"{start}\n{text}\n{end}", document)
    with replacing(path) as temporary:
        temporary.write_text(document)


def write_results(folder, name, content):
    """Writes `content` with the versions, the machine and the date as `folder/name.json`.

    Raises:
        ValueError: for numbers that are not finite.
    """
    import keras

    from keras_dss import zoo
    from keras_dss.hardware import hardware

    content = content | {
        "backend": keras.backend.backend(),
        "versions": zoo.versions(),
        "hardware": hardware(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    with replacing(Path(folder) / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False))
