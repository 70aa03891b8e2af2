"""The tables of the page, as HTML. Every text is escaped."""

import math
from html import escape

from keras_dss import scoring, zoo
from keras_dss.report.curves import WORDS, metric_of, say
from keras_dss.zoo.facts import card_facts


def table(head, rows, foot=None, caption=None, kind=""):
    """An HTML table that scrolls on narrow screens; the first cell of a row is its header.

    >>> table(["layer", "modes"], [["a<b", "4"]])[-74:]
    '<tr><th scope="row">a&lt;b</th><td>4</td></tr></tbody></table></div></div>'
    """
    caption = f"<p>{escape(caption)}</p>" if caption else ""
    kind = f' class="{kind}"' if kind else ""
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head or ())
    head = f"<thead><tr>{cells}</tr></thead>" if head else ""
    foot = f"<tfoot>{_row(foot)}</tfoot>" if foot else ""
    body = f"{head}<tbody>{''.join(map(_row, rows))}</tbody>{foot}"
    return (
        f'<div class="table">{caption}<div class="scroll"><table{kind}>{body}</table></div></div>'
    )


def _row(cells):
    first, *rest = cells
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'


def tiles(model, card, parent, layers):
    """The figures that one asks for first."""
    found = []
    if card:
        test = card["metrics"]["test"]
        metric = metric_of(test)
        found.append(
            (
                f"{WORDS.get(metric, metric)} on test",
                say(metric, test[metric]),
                f"{test['total']:,} examples",
            )
        )
    states = zoo.count_states(model)
    parameters = model.count_params()
    before = (zoo.count_states(parent), parent.count_params()) if parent is not None else (0, 0)
    found.append(("states", f"{states:,}", _of(before[0])))
    found.append(("parameters", f"{parameters:,}", _of(before[1])))
    if card:
        found.append(("file of the weights", f"{card['bytes'] / 1e3:,.0f} kB", ""))
    ranks = sorted({layer.system.num_modes for layer in layers})
    modes = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    old = sorted({layer.before.num_modes for layer in layers if layer.before})
    found.append(("modes a feature", modes, _of(old[-1]) if old else ""))
    found.append(("DSS layers", f"{len(layers)}", ""))
    cells = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}"
        f"{f'<small>{escape(small)}</small>' if small else ''}</dd></div>"
        for what, value, small in found
    )
    return f'<dl class="tiles">{cells}</dl>'


def _of(before):
    return f"of {before:,} before" if before else ""


def layer_table(layers, parent_name=None):
    """The layers as they are, and how far they are from those of the parent."""
    head = ["layer", "modes", "features", "parameters", "slowest mode", "Hankel 90 %"]
    if parent_name:
        head += ["H-inf distance", "H2 distance"]
    rows = []
    for layer in layers:
        shape = layer.system.shape
        row = [
            layer.path,
            _change(layer.before and layer.before.num_modes, layer.system.num_modes),
            f"{shape[-1]:,}" + (" x 2" if len(shape) > 1 else ""),
            _change(layer.parameters_before, layer.parameters),
            _steps(layer.slowest),
            _needed(layer.hankel),
        ]
        if parent_name:
            row += [_percent(layer.hinf_distance), _percent(layer.h2_distance)]
        rows.append(row)
    caption = "Hankel 90 %: states of the median feature that hold nine tenths of the sum."
    if parent_name:
        caption += f" Distances: of the worst feature from {parent_name}, relative to its norm."
    return table(head, rows, caption=caption)


def _steps(steps):
    if math.isinf(steps):
        return "unstable"
    return f"{steps:,.0f} steps" if steps >= 100 else f"{steps:.3g} steps"


def _needed(hankel):
    if hankel is None:
        return ""
    values = hankel.reshape(-1, hankel.shape[-1]).cumsum(axis=-1)
    needed = (values < 0.9 * values[:, -1:]).sum(axis=-1) + 1
    return f"{sorted(needed)[len(needed) // 2]} of {hankel.shape[-1]}"


def compression_table(report):
    """What a compression did to the layers: `CompressionReport.to_dict()`."""
    rows = []
    for layer in report["layers"]:
        skipped = f"skipped: {layer['reason']}" if layer.get("reason") else ""
        rows.append(
            [
                layer["path"],
                _change(layer["rank_before"], layer["rank_after"]),
                _change(layer["states_before"], layer["states_after"]),
                _change(layer["parameters_before"], layer["parameters_after"]),
                _relative(layer, "hinf_error", "hinf_norm"),
                _relative(layer, "error_bound", "hinf_norm"),
                _relative(layer, "h2_error", "h2_norm"),
                f"{layer['condition']:.1e}" if layer.get("condition") else skipped,
            ]
        )
    head = ["layer", "modes", "states", "parameters", "H-inf error", "bound", "H2 error"]
    whole = [_change(report[f"{key}_before"], report[f"{key}_after"])
             for key in ("states", "parameters")]  # fmt: skip
    how = f"{report['method']}, " + ("measured" if report["calibrated"] else "exact") + " Gramian"
    caption = (
        f"What the reduction did ({how}), before any training after it. Errors and bounds are "
        "relative to the norm of the original layer."
    )
    return table([*head, "condition"], rows, ["whole model", "", *whole], caption)


def _relative(layer, error, norm):
    if layer.get(error) is None or not layer.get(norm):
        return ""
    return _percent(layer[error] / layer[norm])


def notes(sentences):
    """A list of warnings, or nothing."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="notes">{items}</ul>'


def card_table(card):
    """The card, its metrics first."""
    metrics = [(f"on {split}", scoring.say(found)) for split, found in card["metrics"].items()]
    baselines = [(f"baseline: {name}", f"{value:.4g}") for name, value in card["baselines"].items()]
    return table(None, [*metrics, *baselines, *card_facts(card)], kind="facts")


def _change(before, after):
    return f"{after:,}" if before in (None, after) else f"{before:,} → {after:,}"


def _percent(value):
    if value is None:
        return ""
    return f"{value:.2%}" if value >= 1e-4 else f"{value:.1e}"
