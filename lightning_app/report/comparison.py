"""What changed between two models' answers to the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_app.commands.benchmark_result import Estimate, Scores
from lightning_app.commands.benchmark_scores import scores_of
from lightning_app.functional.calibration import NUM_BINS
from lightning_app.functional.resampling import interval, resampled
from lightning_app.report import slices
from lightning_app.report.answers import Answers
from lightning_app.report.slices import MIN_ROWS, Slices
from modules.metrics import METRICS, predicted

if TYPE_CHECKING:
    from lightning_app.task import Task

NUM_WORST = 6
NUM_EXAMPLES = 8


@dataclass(frozen=True)
class SliceChange:
    """How both do on some rows.

    Args:
        name: Of the slice.
        rows: Their numbers.
        before: Mean quality of the reference: share of right answers, or minus the mean error.
        after: Of the other.
        difference: Of the two, paired by row.
    """

    name: str
    rows: Sequence[int]
    before: float
    after: float
    difference: Estimate


@dataclass(frozen=True)
class Flips:
    """Rows that are answered otherwise.

    Args:
        became_wrong: Right before.
        became_right: Wrong before.
        other: Wrong before and after, in different ways.
    """

    became_wrong: tuple[int, ...]
    became_right: tuple[int, ...]
    other: tuple[int, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.became_wrong) + len(self.became_right) + len(self.other)


@dataclass(frozen=True)
class Comparison:
    """All that changed.

    Args:
        scores: Of the two.
        difference: Of the task's score, paired by row.
        flips: None for regression.
        by_class: Slices by label.
        by_length: Slices by number of words.
        worst: Slices that lost most, the worst first.
        examples: Rows that lost most, the worst first.
        bins: Of the two, confidence and accuracy of each bin; empty unless a row has one label.
    """

    scores: tuple[Scores, Scores]
    difference: Estimate
    flips: Flips | None
    by_class: Sequence[SliceChange]
    by_length: Sequence[SliceChange]
    worst: Sequence[SliceChange]
    examples: Sequence[int]
    bins: tuple[list[tuple[float, float]], list[tuple[float, float]]]


def compare(answers: Answers) -> Comparison:
    """Of two models' answers."""
    task, rows, (before, after) = answers.task, answers.rows, answers.logits
    labels = torch.tensor(rows.labels)
    of_class, of_length = slices.by_class(rows, task), slices.by_length(rows)
    of_content = slices.by_content(rows)
    quality = (row_quality(before, labels, task), row_quality(after, labels, task))
    crossings = (slices.crossed(of_class, part) for part in (of_length, of_content))
    candidates = {**of_content, **{k: v for part in crossings for k, v in part.items()}}
    changes = _changes(candidates, quality)
    losing = sorted((c for c in changes if c.difference.value < 0), key=_by_loss)
    return Comparison(
        scores=(
            scores_of(before, before, rows.labels, task),
            scores_of(after, before, rows.labels, task),
        ),
        difference=_score_difference(before, after, labels, task),
        flips=_flips(before, after, labels, task),
        by_class=_changes(of_class, quality, least=1),
        by_length=_changes(of_length, quality, least=1),
        worst=losing[:NUM_WORST],
        examples=_examples(before, after, quality, labels, task),
        bins=(_bins(before, labels, task), _bins(after, labels, task)),
    )


def row_quality(logits: Tensor, labels: Tensor, task: "Task") -> Tensor:
    """Of each row 1 if all of it is right, else 0; minus the error for regression; ``[rows]``."""
    if task.problem_type == "regression":
        return -(logits.squeeze(-1).double() - labels.double()).abs()
    hits = predicted(logits, task) == labels.long()
    return hits.reshape(len(logits), -1).all(dim=1).double()


def _changes(
    named: Slices, quality: tuple[Tensor, Tensor], least: int = MIN_ROWS
) -> list[SliceChange]:
    return [_change(name, rows, quality) for name, rows in named.items() if len(rows) >= least]


def _change(name: str, rows: Sequence[int], quality: tuple[Tensor, Tensor]) -> SliceChange:
    before, after = (values[list(rows)] for values in quality)
    gains = after - before
    drawn = resampled(lambda chosen: gains[chosen].mean().view(1), len(rows))
    difference = Estimate(float(gains.mean()), *interval(drawn[:, 0]))
    return SliceChange(name, rows, float(before.mean()), float(after.mean()), difference)


def _by_loss(change: SliceChange) -> tuple[float, str]:
    """By what is surely lost first: a small slice loses much by chance."""
    return change.difference.high, change.name


def _score_difference(before: Tensor, after: Tensor, labels: Tensor, task: "Task") -> Estimate:
    def score(logits: Tensor, rows: Tensor) -> Tensor:
        chosen, truth = logits[rows], labels[rows]
        found = [METRICS[name](chosen, truth, task).double() for name in task.score_metrics]
        return torch.stack(found).mean().view(1)

    def difference(rows: Tensor) -> Tensor:
        return score(after, rows) - score(before, rows)

    value = float(difference(torch.arange(len(before))))
    return Estimate(value, *interval(resampled(difference, len(before))[:, 0]))


def _flips(before: Tensor, after: Tensor, labels: Tensor, task: "Task") -> Flips | None:
    if task.problem_type == "regression":
        return None
    differ = (predicted(before, task) != predicted(after, task)).reshape(len(before), -1).any(1)
    was, is_now = (row_quality(logits, labels, task) == 1 for logits in (before, after))

    def rows(chosen: Tensor) -> tuple[int, ...]:
        return tuple((differ & chosen).nonzero().flatten().tolist())

    return Flips(rows(was & ~is_now), rows(~was & is_now), rows(~was & ~is_now))


def _examples(
    before: Tensor,
    after: Tensor,
    quality: tuple[Tensor, Tensor],
    labels: Tensor,
    task: "Task",
) -> list[int]:
    """Of those that lost quality, the ones whose logits moved farthest."""
    lost = (quality[0] - quality[1]).clamp(min=0)
    moved = (before - after).abs().double().sum(dim=1)
    rows: list[int] = (lost > 0).nonzero().flatten().tolist()
    return sorted(rows, key=lambda row: (-float(lost[row]), -float(moved[row])))[:NUM_EXAMPLES]


def _bins(logits: Tensor, labels: Tensor, task: "Task") -> list[tuple[float, float]]:
    if task.problem_type != "single_label_classification":
        return []
    confidences, answers = logits.double().softmax(-1).max(-1)
    hits = (answers == labels).double()
    places = (confidences * NUM_BINS).ceil().long().sub(1).clamp(0, NUM_BINS - 1)
    found = []
    for place in sorted(set(places.tolist())):
        chosen = places == place
        found.append((float(confidences[chosen].mean()), float(hits[chosen].mean())))
    return found
