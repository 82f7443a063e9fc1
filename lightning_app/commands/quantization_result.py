"""What post-training quantization did, and what each part of it costs."""

from dataclasses import asdict, dataclass
from typing import Any

from lightning_app.commands.module_groups import ModuleGroup
from lightning_app.commands.row_scorer import Score


@dataclass(frozen=True)
class GroupCost:
    """What a group of modules costs when it alone is quantized.

    Args:
        group: The modules.
        alone: Score and loss on the held-back rows.
        drop: Of the score, against nothing quantized.
        rise: Of the loss.
        is_left: Whether it stays in float32.
    """

    group: ModuleGroup
    alone: Score
    drop: float
    rise: float
    is_left: bool = False


@dataclass(frozen=True)
class AccuracySearch:
    """How it was found what stays in float32.

    Args:
        max_drop: Of the score, on the held-back rows.
        rows: How many these are.
        plain: Score and loss with nothing quantized.
        costs: Of each group alone, in the network's order.
        trials: Score and loss with the costliest 0, 1, 2, ... groups left out.
        num_left: How many were left out in the end.
    """

    max_drop: float
    rows: int
    plain: Score
    costs: tuple[GroupCost, ...]
    trials: tuple[Score, ...]
    num_left: int

    @property
    def drop(self) -> float:
        """What the choice costs on the held-back rows."""
        return self.plain.score - self.trials[self.num_left].score

    @property
    def is_met(self) -> bool:
        """Whether that is at most ``max_drop``."""
        return is_within(self.drop, self.max_drop)


@dataclass(frozen=True)
class QuantizationResult:
    """What `glint quantize` did to a network.

    Args:
        task: Its name.
        scheme: Of the linear layers.
        observer: Of the ranges; None where there are none.
        rows: Calibration rows; 0 where there are none.
        before: Validation score and loss with nothing quantized.
        after: Of the quantized network.
        num_quantized: Modules that are.
        num_left: Modules that could be and stay in float32, so that the score does.
        weight_bytes: Of all parameters, stored as they are computed with.
        float32_bytes: Of all parameters in float32.
        search: By which those were chosen; None without ``max_drop``.
        seconds: That it took.
    """

    task: str
    scheme: str
    observer: str | None
    rows: int
    before: Score
    after: Score
    num_quantized: int
    num_left: int
    weight_bytes: int
    float32_bytes: int
    search: AccuracySearch | None
    seconds: float

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        plain = asdict(self)
        for score in ("before", "after"):
            plain[score] = getattr(self, score)._asdict()
        if self.search is not None:
            search = self.search
            plain["search"] |= {
                "drop": search.drop,
                "is_met": search.is_met,
                "plain": search.plain._asdict(),
                "trials": [trial._asdict() for trial in search.trials],
                "costs": [cost_as_plain(cost) for cost in search.costs],
            }
        return plain


def cost_as_plain(cost: GroupCost) -> dict[str, Any]:
    """A row of the table."""
    return {
        "group": cost.group.name,
        "layer": cost.group.layer,
        "modules": list(cost.group.modules),
        "score": cost.alone.score,
        "loss": cost.alone.loss,
        "drop": cost.drop,
        "rise": cost.rise,
        "is_left": cost.is_left,
    }


def is_within(drop: float, max_drop: float) -> bool:
    """Scores are float32: a drop of 0.01 may read 0.0100001."""
    return drop <= max_drop + 1e-6
