"""One self-contained HTML page about a model: no network, no scripts, nothing beside it."""

import datetime
import os
from html import escape
from pathlib import Path

from keras_dss.report import pictures
from keras_dss.report.curves import WORDS, Curve, published_curve
from keras_dss.report.facts import layer_facts
from keras_dss.report.style import to_svg
from keras_dss.report.stylesheet import CSS
from keras_dss.report.tables import card_table, compression_table, layer_table, notes, tiles
from keras_dss.version import __version__


def write(model, path, **options):
    """Writes a report on a model as one HTML page.

    The page shows the Hankel singular values, the kernels and the poles of every DSS layer, beside
    those of a parent if there is one, a metric against states, what a compression did to the
    layers, and the card.

    Args:
        model: a built `keras.Model` with DSS layers.
        path: of the file to write; it is replaced if it is there.
        **options: of `render`, the parent, the card and the compression's report among them.

    Raises:
        TypeError, ValueError: as `render` does.
        OSError: if the file cannot be written.

    Example:

    >>> import tempfile, keras_dss
    >>> model = keras_dss.models.DSSClassifier(2, features=2, num_blocks=1, state_size=4)
    >>> small, compression = keras_dss.compress_model(model, 2, return_report=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(small, f"{folder}/small.html", parent=model, compression=compression)
    ...     os.listdir(folder)
    ['small.html']
    """
    temporary = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        temporary.write_text(render(model, **options), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def render(
    model, *, name=None, card=None, parent=None, parent_name=None, compression=None, curve=None
):
    """Returns the page that `write` writes, as a string.

    Args:
        model: a built `keras.Model` with DSS layers.
        name: title of the page; that of the card, or of the model, by default.
        card: of a published model, as `keras_dss.zoo.card` returns it.
        parent: the model before its reduction, with as many DSS layers of as many features.
        parent_name: what to call it; `parent.name` by default.
        compression: a `CompressionReport`, or what its `to_dict` returns.
        curve: a `keras_dss.report.Curve`; with a card, the published models of its task by default.

    Raises:
        TypeError: for what is no Keras model.
        ValueError: for a model without DSS layers, weights that are not finite, and a parent whose
            layers do not correspond.
    """
    layers = layer_facts(model, parent)
    name = name or (card["name"] if card else model.name)
    parent_name = parent_name or (parent.name if parent is not None else None)
    if hasattr(compression, "to_dict"):
        compression = compression.to_dict()
    if curve is None and card:
        curve = published_curve(card)
    sections = [
        _curve_section(curve),
        _layers_section(layers, parent_name, compression),
        _hankel_section(layers, parent_name),
        _kernel_section(layers, parent_name),
        _pole_section(layers, parent_name),
        _card_section(card),
    ]
    sections = [section for section in sections if section]
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in sections)
    body = "".join(
        f'<section id="{key}"><h2>{escape(title)}</h2>{content}</section>'
        for key, title, content in sections
    )
    date = datetime.date.today().isoformat()
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{CSS}</style></head><body>"
        f"<header><h1>{escape(name)}</h1>{_lead(model, card, parent_name)}"
        f"{tiles(model, card, parent, layers)}<nav>{links}</nav></header>"
        f"<main>{body}</main>"
        f"<footer>Written by keras_dss {__version__} on {date}.</footer></body></html>\n"
    )


def _lead(model, card, parent_name):
    if card:
        words = f"A model of the task {card['task']}: {card['method']}."
    else:
        words = f"{type(model).__name__} with diagonal state space layers."
    if parent_name:
        words += f" Shown beside {parent_name}."
    return f'<p class="lead">{escape(words)}</p>'


def _curve_section(curve):
    if not isinstance(curve, Curve) or not (curve.series or curve.points):
        return None
    figure = pictures.accuracy_curve(curve.series, curve.points, curve.reference, curve.metric)
    what = WORDS.get(curve.metric, curve.metric)
    alt = f"{what} against states: " + "; ".join(
        [f"{label} {_points(values)}" for label, values in curve.series.items()]
        + [f"{label} {value:.4g} at {states:,}" for label, states, value in curve.points]
    )
    picture = _figure(figure, "states", alt, curve.caption, wide=True)
    return "curve", f"{what[0].upper()}{what[1:]} against states", picture


def _points(values):
    return ", ".join(f"{value[1]:.4g} at {value[0]:,}" for value in sorted(values, reverse=True))


def _layers_section(layers, parent_name, compression):
    content = ""
    if compression:
        content += compression_table(compression) + notes(compression.get("notes", ()))
    return "layers", "Layers", content + layer_table(layers, parent_name)


def _hankel_section(layers, parent_name):
    def draw(i, layer):
        if layer.hankel is None:
            return f"<p>{escape(layer.path)} is not stable and has no Hankel singular values.</p>"
        figure = pictures.hankel_values(layer.hankel, layer.hankel_before, layer.path)
        first = layer.hankel.reshape(-1, layer.hankel.shape[-1])
        alt = (
            f"Hankel singular values of {layer.path}, relative to the largest, against their "
            f"index: the last of {first.shape[-1]} is {(first[:, -1] / first[:, 0]).max():.1e}"
        )
        return _figure(figure, f"hankel-{i}", alt)

    text = (
        "How much each state of the balanced real system matters, relative to the most important "
        "one of its feature: the line is the median over the features, the band holds all of "
        "them. A steep fall means that most states can go."
    )
    if parent_name:
        text += f" Before is {parent_name}, after is this model."
    return "hankel", "Hankel singular values", _grid(text, layers, draw)


def _kernel_section(layers, parent_name):
    def draw(i, layer):
        after, before, labels = layer.shown_kernels()
        figure = pictures.kernels(after, before, labels, layer.path)
        alt = f"Kernels of {layer.path} over {after.shape[-1]:,} lags: {'; '.join(labels)}"
        return _figure(figure, f"kernel-{i}", alt)

    text = "What a feature does to an impulse, relative to the kernel's largest entry."
    if parent_name:
        text += (
            f" The broad pale lines are those of {parent_name}, the thin ones those of this "
            "model; shown are the features of the median and of the largest change. "
            "Training moves kernels on purpose: a change is no error by itself."
        )
    else:
        text += " Shown are the features of the median and of the largest energy."
    return "kernels", "Kernels", _grid(text, layers, draw)


def _pole_section(layers, parent_name):
    every = [layer.system.poles.reshape(-1) for layer in layers]
    plane = pictures.plane_of([pole for poles in every for pole in poles])

    def draw(i, layer):
        before = layer.before and layer.before.poles
        figure = pictures.pole_map(layer.system.poles, before, plane, layer.path)
        alt = (
            f"Poles of {layer.path}: {layer.system.poles.size:,} of them, the slowest with a time "
            f"constant of {layer.slowest:,.3g} steps"
        )
        return _figure(figure, f"poles-{i}", alt)

    if plane == "circle":
        text = (
            "Every mode's pole, the upper half of the unit circle; conjugates mirror them below. "
            "Poles near the circle remember for long, their angle is a frequency."
        )
    else:
        text = (
            "Every mode by how long it remembers and how fast it swings: nearly all poles lie so "
            "close to 1 that the unit circle would not tell them apart."
        )
    if parent_name:
        text += f" Grey squares are those of {parent_name}."
    return "poles", "Poles", _grid(text, layers, draw)


def _card_section(card):
    return ("card", "Card", card_table(card)) if card else None


def _grid(text, layers, draw):
    drawn = "".join(draw(i, layer) for i, layer in enumerate(layers))
    return f'<p>{escape(text)}</p><div class="grid">{drawn}</div>'


def _figure(figure, key, alt, caption="", wide=False):
    caption = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}>{to_svg(figure, key, alt)}{caption}</figure>"
