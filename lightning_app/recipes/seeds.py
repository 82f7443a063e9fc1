"""A recipe with several seeds: means, and what was lost seed by seed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_app.commands.whole_file import write_whole
from lightning_app.functional.seed_statistics import (
    MeanEstimate,
    PairedTest,
    mean_estimate,
    paired_test,
)
from lightning_app.recipes.result import Outcome, RecipeResult

FILE = "compress-seeds.json"


@dataclass(frozen=True)
class SeedsOutcome:
    """One artifact over all seeds.

    Args:
        name: Of its export.
        score: On the validation set; None where it was not measured.
        change: Of the score against the dense model of the same seed.
        speedup: Against that model in plain PyTorch.
    """

    name: str
    score: MeanEstimate | None
    change: PairedTest | None
    speedup: MeanEstimate | None


def over_seeds(results: Sequence[RecipeResult]) -> list[SeedsOutcome]:
    """Aggregate by the artifacts' names.

    Args:
        results: One a seed, at least one, of the same recipe.
    """
    names = [outcome.name for outcome in results[0].outcomes]
    return [_aggregated(name, [_of(result, name) for result in results], results) for name in names]


def write_seeds(outcomes: Sequence[SeedsOutcome], seeds: Sequence[int], root: Path) -> Path:
    """Write `compress-seeds.json`, and return where."""
    plain = {"seeds": list(seeds), "results": [asdict(outcome) for outcome in outcomes]}
    write_whole(root / FILE, (json.dumps(plain, indent=1) + "\n").encode())
    return root / FILE


def seeds_text(outcomes: Sequence[SeedsOutcome], seeds: Sequence[int]) -> str:
    """A line an artifact."""
    lines = [f"{len(seeds)} seeds ({', '.join(map(str, seeds))}), mean and interval of 95 %:"]
    for outcome in outcomes:
        parts = [f"score {_in_words(outcome.score, '.4f')}"] if outcome.score else []
        if outcome.change is not None:
            noise = "" if outcome.change.is_outside_noise else ", within the noise"
            parts.append(f"against dense {_in_words(outcome.change.difference, '+.4f')}{noise}")
        if outcome.speedup is not None:
            parts.append(f"{_in_words(outcome.speedup, '.2f')} times as fast")
        lines.append(f"  {outcome.name}: {'; '.join(parts)}")
    return "\n".join(lines)


def _of(result: RecipeResult, name: str) -> Outcome:
    return next(outcome for outcome in result.outcomes if outcome.name == name)


def _aggregated(
    name: str, outcomes: Sequence[Outcome], results: Sequence[RecipeResult]
) -> SeedsOutcome:
    dense = [result.dense.get("score") for result in results]
    scores = [outcome.score for outcome in outcomes]
    has_both = None not in dense and None not in scores
    return SeedsOutcome(
        name,
        _mean(scores, mean_estimate),
        paired_test(scores, dense) if has_both else None,  # type: ignore[arg-type]
        _mean([outcome.speedup for outcome in outcomes], mean_estimate),
    )


def _mean(values: Sequence[float | None], estimate: Callable[[Any], MeanEstimate]) -> Any:
    return None if None in values else estimate(values)


def _in_words(estimate: MeanEstimate, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return format(estimate.mean, form)
    return f"{estimate.mean:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
