"""Which modules to leave in float32, so that the score falls by no more than it may."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lightning_app.commands.module_groups import ModuleGroup
from lightning_app.commands.quantization_result import AccuracySearch, GroupCost, is_within
from lightning_app.commands.row_scorer import RowScorer, Score

Quantize = Callable[[Sequence[ModuleGroup]], None]
"""Lets the network compute with these groups quantized, and no others."""


def search_groups_to_leave(
    groups: Sequence[ModuleGroup],
    quantize: Quantize,
    scorer: RowScorer,
    max_drop: float,
    show_progress: bool = False,
) -> AccuracySearch:
    """Quantize each group alone; then all, without the costliest one, two, ... until it is enough.

    Cost is the drop of the score, and of equal drops the rise of the loss. At least one group stays
    quantized. Where no choice is within ``max_drop``, the one with the smallest drop is taken, of
    equal ones that with the most groups. The network is left as the last trial had it.

    Args:
        groups: All that may be quantized, in the network's order.
        quantize: Called with some of them.
        scorer: Of rows that ranges were not taken from.
        max_drop: In units of the score.
        show_progress: On the terminal.
    """
    quantize(())
    plain = scorer.score()
    costs = {cost.group: cost for cost in _costs(groups, quantize, scorer, plain, show_progress)}
    costliest = sorted(groups, key=lambda g: (-costs[g].drop, -costs[g].rise))
    trials: list[Score] = []
    for trial in _trials(groups, costliest, quantize, scorer):
        trials.append(trial)
        if is_within(plain.score - trial.score, max_drop):
            break
    drops = [plain.score - trial.score for trial in trials]
    enough = is_within(drops[-1], max_drop)
    num_left = len(trials) - 1 if enough else drops.index(min(drops))
    left = set(costliest[:num_left])
    return AccuracySearch(
        max_drop=max_drop,
        rows=sum(scorer.rows.values()),
        plain=plain,
        costs=tuple(replace(costs[group], is_left=group in left) for group in groups),
        trials=tuple(trials),
        num_left=num_left,
    )


def _costs(
    groups: Sequence[ModuleGroup],
    quantize: Quantize,
    scorer: RowScorer,
    plain: Score,
    show_progress: bool,
) -> Iterator[GroupCost]:
    from tqdm import tqdm  # type: ignore[import-untyped]

    # From the bottom up: what lies below a group is not computed again.
    bottom_up = sorted(groups, key=lambda group: group.layer or 0)
    for group in tqdm(bottom_up, desc="Quantizing each alone", disable=not show_progress):
        quantize([group])
        alone = scorer.score(from_layer=group.layer or 0)
        yield GroupCost(group, alone, plain.score - alone.score, alone.loss - plain.loss)


def _trials(
    groups: Sequence[ModuleGroup],
    costliest: Sequence[ModuleGroup],
    quantize: Quantize,
    scorer: RowScorer,
) -> Iterator[Score]:
    from_layer = 0
    for num_left in range(len(groups)):
        left = costliest[:num_left]
        quantize([group for group in groups if group not in left])
        if left:
            from_layer = left[-1].layer or 0  # what the last trial had below it is as it was
        yield scorer.score(from_layer=from_layer)
