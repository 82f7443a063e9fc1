"""What a sensitivity analysis found, and the plan that follows from it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_app.commands.prunable_parts import KINDS, Kind

ROUNDING = 1e-6
"""Scores are float32: a drop of 0.01 may read 0.0100001."""

Plan = dict[Kind, dict[str, float]]
"""For each kind shares by layer position, or by module name."""


@dataclass(frozen=True)
class Measurement:
    """What pruning one part alone, by one share, leaves.

    Args:
        kind: What was pruned.
        name: The layer's position, or the name of the linear layer in the module.
        layer: Position of the encoder layer; None outside.
        share: Of its heads, neurons or weights, in (0, 1).
        removed: How many that are.
        count: Of so many.
        score: `val/score` without them; None if none would be left, which is not measured.
        loss: Mean validation loss without them; None likewise.
    """

    kind: Kind
    name: str
    layer: int | None
    share: float
    removed: int
    count: int
    score: float | None
    loss: float | None


@dataclass(frozen=True)
class SensitivityResult:
    """The table of a sensitivity analysis.

    Args:
        task: Its name.
        rows: Validation rows by split.
        score: `val/score` of the whole model on them.
        loss: Mean loss of the whole model.
        shares: That were tried, ascending.
        max_drop: What a part may cost in the plan.
        measurements: By kind, part and share.
        together: `val/score` with all that the plan says of a kind pruned at once, untrained.
        seconds: That it took.
    """

    task: str
    rows: dict[str, int]
    score: float
    loss: float
    shares: tuple[float, ...]
    max_drop: float
    measurements: tuple[Measurement, ...]
    together: dict[Kind, float]
    seconds: float

    @property
    def plan(self) -> Plan:
        """The largest share of each part that costs at most ``max_drop`` alone."""
        return planned_shares(self.measurements, self.score, self.max_drop)

    @property
    def kinds(self) -> list[Kind]:
        """The kinds that were measured."""
        return [kind for kind in KINDS if any(m.kind == kind for m in self.measurements)]

    def parts(self, kind: Kind) -> dict[str, list[Measurement]]:
        """Measurements of each part of a kind, shares ascending."""
        parts: dict[str, list[Measurement]] = {}
        for measurement in self.measurements:
            if measurement.kind == kind:
                parts.setdefault(measurement.name, []).append(measurement)
        return parts

    def points(self, measurement: Measurement) -> float | None:
        """Hundredths of the score that it costs; None where it was not measured."""
        return None if measurement.score is None else 100 * (self.score - measurement.score)

    def planned_removal(self, kind: Kind) -> float:
        """Share of all heads, neurons or weights that the plan removes."""
        removed = count = 0
        for name, of_part in self.parts(kind).items():
            chosen = self.plan[kind][name]
            removed += next((m.removed for m in of_part if m.share == chosen), 0)
            count += of_part[0].count
        return removed / count

    def as_plain(self) -> dict[str, Any]:
        """For JSON; each measurement with its drop, in units of the score."""
        plain = asdict(self)
        for row, measurement in zip(plain["measurements"], self.measurements, strict=True):
            score = measurement.score
            row["drop"] = None if score is None else self.score - score
        return {**plain, "plan": self.plan}


def planned_shares(measurements: Sequence[Measurement], score: float, max_drop: float) -> Plan:
    """The largest share of each part that costs at most ``max_drop``, as all smaller ones do.

    Args:
        measurements: Of each part with shares ascending.
        score: Of the whole model.
        max_drop: In units of the score.
    """
    plan: Plan = {}
    exceeded = set()
    for m in measurements:
        shares = plan.setdefault(m.kind, {})
        shares.setdefault(m.name, 0.0)
        if m.score is None or score - m.score > max_drop + ROUNDING:
            exceeded.add((m.kind, m.name))
        elif m.removed and (m.kind, m.name) not in exceeded:
            shares[m.name] = m.share
    return plan
