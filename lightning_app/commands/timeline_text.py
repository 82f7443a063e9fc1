"""The course of a fit as a table and as a picture."""

import io

from lightning_app.commands.timeline import Timeline

NUM_ROWS = 9


def timeline_text(timeline: Timeline, num_rows: int = NUM_ROWS) -> str:
    """A table of so many moments, and the time that it takes.

    Args:
        timeline: Of a fit.
        num_rows: Evenly spaced, the first and the last among them.
    """
    names = list(timeline.course)
    moments = sorted({round(n * timeline.steps / (num_rows - 1)) for n in range(num_rows)})
    rows = [["step", *names]]
    rows += [[f"{m:,}", *(_value(timeline.course[n][m]) for n in names)] for m in moments]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(lines) + f"\n{_cost(timeline)}"


def timeline_picture(timeline: Timeline, title: str) -> bytes:
    """Every number of the course over the steps, each in a panel of its own, as PNG."""
    from matplotlib.figure import Figure

    numbers = {n: v for n, v in timeline.course.items() if not isinstance(v[0], str)}
    figure = Figure(figsize=(7, 1.6 * max(len(numbers), 1) + 0.6), layout="constrained")
    panels = figure.subplots(max(len(numbers), 1), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, values) in zip(panels, numbers.items(), strict=False):
        panel.plot(range(len(values)), values, color="C0")
        panel.set_title(name, loc="left", fontsize=9)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        for start, text in _changes(timeline):
            panel.axvline(start, color="C1", linewidth=1)
            if panel is panels[0]:
                panel.annotate(text, (start, panel.get_ylim()[1]), fontsize=7, va="top")
    panels[-1].set_xlabel("optimizer steps")
    figure.suptitle(title, fontsize=10)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def _changes(timeline: Timeline) -> list[tuple[int, str]]:
    """Where something that is no number changes, and to what."""
    found = []
    for name, values in timeline.course.items():
        if isinstance(values[0], str):
            found += [
                (n, f" {name}: {values[n]}")
                for n in range(len(values))
                if n == 0 or values[n] != values[n - 1]
            ]
    return found


def _cost(timeline: Timeline) -> str:
    minutes = timeline.seconds / 60
    return (
        f"{timeline.steps:,} steps of {1000 * timeline.seconds_a_step:.0f} ms (median of"
        f" {timeline.measured_steps}), {timeline.validations} validations of"
        f" {timeline.seconds_a_validation:.1f} s: about {minutes:.1f} minutes"
    )


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.01 else f"{value:.2e}"
