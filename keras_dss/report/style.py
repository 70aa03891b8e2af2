"""How pictures look, and how they become part of a page that is light or dark."""

import contextlib
import html
import io
import re

# Okabe and Ito's colours: they differ for every kind of colour vision, and in grey.
COLORS = {
    "ink": "#22262c",
    "muted": "#6a717c",
    "grid": "#d8dbe0",
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#b0578d",
    "sky": "#3a9ad9",
    "gold": "#b98900",
}
SERIES = ("blue", "orange", "green", "purple", "sky", "gold")
MARKERS = ("o", "s", "^", "D", "v", "P")
RASTER_DPI = 200  # of clouds of points


def rc():
    """Settings of matplotlib for every picture."""
    return {
        "font.family": "sans-serif",
        "font.size": 9.0,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": COLORS["muted"],
        "axes.labelcolor": COLORS["ink"],
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": COLORS["grid"],
        "grid.linewidth": 0.6,
        "text.color": COLORS["ink"],
        "xtick.color": COLORS["muted"],
        "ytick.color": COLORS["muted"],
        "xtick.labelcolor": COLORS["ink"],
        "ytick.labelcolor": COLORS["ink"],
        "legend.frameon": False,
        "legend.fontsize": 8.0,
        "lines.linewidth": 1.6,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": "keras_dss",
    }


@contextlib.contextmanager
def drawing():
    """matplotlib with the settings of `rc`, meanwhile."""
    import matplotlib

    with matplotlib.rc_context(rc()):
        yield


def new_figure(width=4.4, height=3.1):
    """A figure of one panel, without pyplot, and its axes. Inside `drawing`."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots()


def to_svg(figure, name, alt):
    """A picture as an `<svg>` element that takes its colours from the page.

    Args:
        figure: of matplotlib. name: unique on the page, of letters, digits, `-` and `_`.
        alt: what a person who cannot see it should know.
    """
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=RASTER_DPI)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', head).group(1)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = body.replace("xlink:href=", "href=").replace("url(#", f"url(#{name}-")
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    body = re.sub(r"(font: [^;\"]*?px)[^;\"]*", r"\1 var(--font)", body)
    for key, color in COLORS.items():
        body = body.replace(color, f"var(--{key})")
    label = html.escape(alt, quote=True)
    return f'<svg viewBox="{box}" role="img" aria-label="{label}" id="{name}">{body.strip()}'
