"""What `glint fit --seeds` says at the end."""

import shlex
from collections.abc import Iterator

from lightning_app.commands.fit_seeds_result import FILE, Comparison, FitSeedsResult
from lightning_app.functional.seed_statistics import MeanEstimate
from lightning_app.recipes.engine import clock


def fit_seeds_text(result: FitSeedsResult) -> str:
    """Means with their spread and interval, the test against the baseline, and what is next."""
    return "\n".join([*_means(result), *_tests(result), *_next(result)]) + "\n"


def _means(result: FitSeedsResult) -> Iterator[str]:
    seeds = ", ".join(map(str, result.seeds))
    yield f"{_count(len(result.seeds))} ({seeds}): mean ± standard deviation (interval of 95 %)"
    width = max(map(len, result.metrics))
    for name, mean in result.metrics.items():
        yield f"  {name:<{width}}  {_in_words(mean)}"
    yield f"  {'time':<{width}}  {clock(result.seconds.mean)} each"


def _tests(result: FitSeedsResult) -> Iterator[str]:
    against = result.comparison
    if against is None:
        return
    yield f"against {against.folder}, seed by seed{_left_out(result, against)}:"
    width = max(map(len, against.tests))
    for name, test in against.tests.items():
        parts = [_in_words(test.difference, "+.4f", with_spread=False)]
        if test.t_p is not None:
            parts.append(f"paired t-test p = {test.t_p:.3f}")
        parts.append(f"exact test p = {test.sign_flip_p:.3f}")
        noise = "" if test.is_outside_noise else ", within the noise"
        yield f"  {name:<{width}}  {'; '.join(parts)}{noise}"
    smallest = next(iter(against.tests.values())).smallest_p
    yield (
        f"  With {_count(len(against.seeds))} the exact test, which swaps the two of each seed,"
        f" cannot fall below {smallest:.3g}."
    )


def _left_out(result: FitSeedsResult, against: Comparison) -> str:
    """Where one of the sets has more seeds than the other."""
    common = against.seeds
    is_all = len(common) == len(result.seeds)
    return "" if is_all else f", of which both have {', '.join(map(str, common))}"


def _next(result: FitSeedsResult) -> Iterator[str]:
    folder = shlex.quote(str(result.folder))
    yield f"written: {result.folder / FILE}"
    yield f"next: glint report {folder}"
    if result.comparison is None:
        count = len(result.seeds)
        yield f"      glint fit --config ... --seeds {count} --baseline {folder}"


def _in_words(mean: MeanEstimate, form: str = ".4f", with_spread: bool = True) -> str:
    spread = f" ± {mean.std:.4f}" if with_spread and mean.std is not None else ""
    if mean.low is None or mean.high is None:
        return f"{mean.mean:{form}}{spread}"
    return f"{mean.mean:{form}}{spread} ({mean.low:{form}} to {mean.high:{form}})"


def _count(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds != 1)}"
