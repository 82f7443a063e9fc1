"""Numbers as a reader reads them."""

from lightning_app.recipes.engine import clock
from lightning_app.report.findings import Value

NONE = "–"
__all__ = [
    "NONE",
    "clock",
    "interval",
    "megabytes",
    "millions",
    "milliseconds",
    "plain",
    "points",
    "times",
]


def plain(value: float | None, form: str) -> str:
    """In this format, or a dash."""
    return NONE if value is None else format(value, form)


def interval(value: Value | None, form: str = ".4f") -> str:
    """``0.8431 to 0.8862``, or a dash."""
    if value is None or value.low is None or value.high is None:
        return NONE
    return f"{value.low:{form}} to {value.high:{form}}"


def milliseconds(value: float | None) -> str:
    """With three digits that matter."""
    if value is None:
        return NONE
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def megabytes(value: float | None) -> str:
    """In 10^6 bytes."""
    return NONE if value is None else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def millions(value: int | None) -> str:
    """``22.7M``."""
    if value is None:
        return NONE
    return f"{value / 1e6:.1f}M" if value >= 1e6 else f"{value:,}"


def times(value: float | None) -> str:
    """``4.2x``."""
    return NONE if value is None else f"{value:.1f}x" if value >= 10 else f"{value:.2f}x"


def points(drop: float | None) -> str:
    """Hundredths of the score, with the sign of what happened: ``-0.52``."""
    if drop is None:
        return NONE
    text = f"{-100 * drop:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text
