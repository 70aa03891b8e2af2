"""Where benchmarks leave what they found."""

import datetime
import json
import os
import re
import tempfile
from pathlib import Path


def replace_between_markers(path, name, text):
    """Writes `text` between the markers of `name` in a Markdown file, atomically."""
    with open(path) as file:
        document = file.read()
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in document or end not in document:
        raise ValueError(f"Expected the markers {start} and {end} in {path}. Received: neither")
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    document = pattern.sub(lambda _: f"{start}\n{text}\n{end}", document)
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(document)
    os.replace(file.name, path)


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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        json.dump(content, file, indent=1, allow_nan=False)
    os.replace(file.name, folder / f"{name}.json")
