"""Figures as PNG, on a light and on a dark page."""

import io
from typing import Any, Literal

from lightning_app.report.blocks import Picture

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

DPI = 200
"""Twice that of a plain screen: pictures are shown at half of their size."""

WIDTH = 5.2
"""Of a picture, in inches; on a telephone its words are still as large as small print."""

PALETTE = ("#2f6fb2", "#d9822b", "#3a9a6b", "#b6488f", "#8a6fc9", "#7a7a2a", "#c0504d", "#4c9fb0")

_INK = {"light": "#1d2329", "dark": "#e4e7ea"}
_SOFT = {"light": "#8b949e", "dark": "#737c86"}
_PAPER = {"light": "#ffffff", "dark": "#1b1f24"}


def paint(picture: Picture, scheme: Scheme) -> bytes:
    """A PNG.

    Args:
        picture: What to draw.
        scheme: Of the page behind it.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with rc_context(_style(scheme)):
        figure = picture.draw()
        FigureCanvasAgg(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def _style(scheme: Scheme) -> dict[str, Any]:
    from cycler import cycler

    ink, soft, paper = _INK[scheme], _SOFT[scheme], _PAPER[scheme]
    return {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": soft,
        "axes.labelcolor": ink,
        "axes.facecolor": paper,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": soft,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "text.color": ink,
        "xtick.color": soft,
        "ytick.color": soft,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "figure.facecolor": paper,
        "savefig.facecolor": paper,
        "lines.linewidth": 1.6,
    }
