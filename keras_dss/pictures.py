"""Pictures in files that are whole or absent."""

import os
from pathlib import Path


def save_picture(figure, path, dpi=120):
    """Writes a picture in the format that the name of its file ends in, PNG if in none.

    Args:
        figure: a `matplotlib.figure.Figure`. path: the file. dpi: dots per inch of its pixels.

    Raises:
        ValueError: for an ending that matplotlib does not write, naming those that it does.
    """
    formats = figure.canvas.get_supported_filetypes()
    ending = Path(path).suffix[1:].lower() or "png"
    if ending not in formats:
        raise ValueError(f"Expected a picture of {', '.join(formats)}. Received: {path}")
    temporary = f"{os.fspath(path)}.{os.getpid()}.tmp"
    try:
        figure.savefig(temporary, format=ending, dpi=dpi)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
