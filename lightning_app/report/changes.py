"""What changed against the teacher: the section."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lightning_app.report import charts
from lightning_app.report.blocks import Block, Paragraph, Picture, Section, Table
from lightning_app.report.findings import Findings
from lightning_app.report.words import NONE

if TYPE_CHECKING:
    from lightning_app.commands.benchmark_result import Estimate
    from lightning_app.report.answers import Answers
    from lightning_app.report.comparison import Comparison, SliceChange

TITLE = "What changed against the teacher"
_MAX_TEXT = 240
_SKIPPED = "The models have not been asked, as `--no_predictions` was given."


def changes(found: Findings, max_rows: int, threads: int | None) -> Section:
    """Let both models answer, and compare; where that cannot be, a sentence says why.

    Args:
        found: On disk.
        max_rows: Drawn at random where there are more.
        threads: To compute with.
    """
    from lightning_app.report.answers import answers
    from lightning_app.report.comparison import compare

    if not any(m.artifact is not None or m.checkpoint is not None for m in found.models):
        return Section(TITLE, [])
    try:
        given = answers(found, max_rows, threads)
    except (ValueError, OSError, KeyError) as error:  # files of a run may have gone
        reason = " ".join(str(error).split())[:400]
        return Section(TITLE, [Paragraph(f"This cannot be shown. {reason}")])
    return Section(TITLE, list(_blocks(given, compare(given))))


def skipped() -> Section:
    """In its place."""
    return Section(TITLE, [Paragraph(_SKIPPED)])


def _blocks(answers: "Answers", found: "Comparison") -> Iterator[Block]:
    yield Paragraph(_summary(answers, found))
    yield _scores(answers, found)
    if all(found.bins):
        bins = list(zip(answers.names, found.bins, strict=True))
        draw = partial(charts.reliability, bins)
        yield Picture("reliability", "Whether they are right as often as they say", draw)
    yield from _slices("by label", found.by_class, answers)
    yield from _slices("by length of the texts", found.by_length, answers)
    if found.worst:
        yield from _slices("slices that lost most", found.worst, answers)
        yield Paragraph(
            "Slices are of at least 20 rows, and ordered by what is lost at least; among so many"
            " some look bad by chance."
        )
    if found.examples:
        yield _examples(answers, found.examples)


def _summary(answers: "Answers", found: "Comparison") -> str:
    before, after = answers.names
    change = found.difference
    text = (
        f"{after} in place of {before} on {len(answers.rows):,} validation rows: the score changes"
        f" by {_points(change)} points{_noise(change)}."
    )
    if found.flips is not None:
        wrong, right, other = (
            len(rows)
            for rows in (found.flips.became_wrong, found.flips.became_right, found.flips.other)
        )
        text += (
            f" {found.flips.count:,} answers ({found.flips.count / len(answers.rows):.1%}) differ:"
            f" {wrong:,} became wrong, {right:,} became right"
            f"{f', {other:,} are wrong in another way' if other else ''}."
        )
    return text


def _noise(change: "Estimate") -> str:
    return ", which is within the noise" if change.low <= 0 <= change.high else ""


def _points(change: "Estimate") -> str:
    value, low, high = (f"{100 * v + 0.0:+.2f}" for v in (change.value, change.low, change.high))
    return f"{value} ({low} to {high})"


def _scores(answers: "Answers", found: "Comparison") -> Table:
    rows = []
    for name, scores in zip(answers.names, found.scores, strict=True):
        error = scores.calibration_error
        values = [f"{m.value:.4f} ({m.low:.4f} to {m.high:.4f})" for m in scores.metrics.values()]
        rows.append([name, *values, NONE if error is None else f"{error:.3f}"])
    return Table(["", *found.scores[0].metrics, "calibration error"], rows)


def _slices(title: str, changes: "Sequence[SliceChange]", answers: "Answers") -> Iterator[Table]:
    if not changes:
        return
    is_regression = answers.task.problem_type == "regression"
    what = "mean error" if is_regression else "right"
    head = [title, "rows", *(f"{what}, {name}" for name in answers.names), "change"]
    yield Table(head, [_slice(change, is_regression) for change in changes])


def _slice(change: "SliceChange", is_regression: bool) -> list[str]:
    d = change.difference
    if is_regression:
        # Quality is minus the error; a reader wants the error.
        before, after = f"{-change.before:.3f}", f"{-change.after:.3f}"
        words = f"{-d.value:+.3f} ({-d.high:+.3f} to {-d.low:+.3f})"
    else:
        before, after = f"{change.before:.1%}", f"{change.after:.1%}"
        words = _points(d)
    return [change.name, f"{len(change.rows):,}", before, after, words]


def _examples(answers: "Answers", rows: Sequence[int]) -> Table:
    head = ["examples of what was lost", "label", *answers.names]
    lines = [
        [
            _text(answers, row),
            _label(answers, row),
            *(_answer(logits[row].tolist(), answers) for logits in answers.logits),
        ]
        for row in rows
    ]
    return Table(head, lines, words=len(head))


def _text(answers: "Answers", row: int) -> str:
    rows = answers.rows
    texts = [rows.texts[row]] if rows.pairs is None else [rows.texts[row], rows.pairs[row]]
    return " ⁄ ".join(t if len(t) <= _MAX_TEXT else f"{t[:_MAX_TEXT].rstrip()} …" for t in texts)


def _label(answers: "Answers", row: int) -> str:
    label: Any = (answers.rows.labels or [])[row]
    names = answers.task.label_names
    if answers.task.problem_type == "regression":
        return f"{label:.2f}"
    if isinstance(label, int):
        return names[label]
    return ", ".join(n for n, is_on in zip(names, label, strict=True) if is_on) or NONE


def _answer(logits: Sequence[float], answers: "Answers") -> str:
    from torch import tensor

    from modules.answer import answer

    found = answer(tensor(logits), answers.task)
    if "label" not in found:
        return f"{found['score']:.2f}"
    if isinstance(found["label"], list):
        return ", ".join(found["label"]) or NONE
    return f"{found['label']} ({found['score']:.0%})"
