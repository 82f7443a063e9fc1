"""Let loaded artifacts take turns, so that what disturbs the machine disturbs all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from lightning_app.commands.benchmark_checks import latency_ratio
from lightning_app.commands.benchmark_result import CellResult, Estimate, Latency
from lightning_app.commands.benchmark_runner import Contender, request
from lightning_app.commands.call_timer import Cell, Seconds
from lightning_app.functional.resampling import median_interval, percentile

MAX_CALLS_A_TURN = 2000
_WARM_UP_SHARE = 0.1
_MS = 1000


class Racer(Protocol):
    """As `Worker`."""

    contender: Contender
    memory_loaded: int

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer."""


@dataclass
class Laps:
    """What one contender did.

    Args:
        description: What it says of itself.
        memory_loaded: Most memory when it was loaded, in bytes.
        memory_peak: Most memory when it was done, in bytes.
        turns: By cell, what was timed in each round.
        logits: ``[rows, num_labels]``, where they were asked for.
        nonzero: Weights that are not zero; None where they cannot be told.
    """

    description: dict[str, Any]
    memory_loaded: int
    memory_peak: int = 0
    turns: dict[Cell, list[Seconds]] = field(default_factory=dict)
    logits: list[list[float]] | None = None
    nonzero: int | None = None


class Race:
    """Rounds in which each contender has a turn, each round begun by another.

    A turn is of as many calls as fit into its time; of the task's own rows, of the same for all.

    Args:
        cells: What calls compute; one cell after the other.
        rounds: Of each cell.
        seconds: That a contender computes in a cell.
        predict: Whether to ask for the answers to all rows at the end.
    """

    def __init__(self, cells: Sequence[Cell], rounds: int, seconds: float, predict: bool) -> None:
        self.cells = cells
        self.rounds = rounds
        self.seconds = seconds
        self.predict = predict

    def run(self, racers: Sequence[Racer], bar: Any) -> list[Laps]:
        """Let them race.

        Args:
            racers: Loaded.
            bar: Of progress; advanced by each turn.
        """
        found = [Laps(_described(racer), racer.memory_loaded) for racer in racers]
        for cell in self.cells:
            self._run_cell(cell, racers, found, bar)
        for racer, laps in zip(racers, found, strict=True):
            if self.predict:
                bar.set_description(f"answers of {racer.contender.name}")
                laps.logits = racer.ask(request("predict"))["logits"]
                bar.update()
            laps.memory_peak = racer.ask(request("memory"))["memory"]
            laps.nonzero = racer.ask(request("count"))["nonzero"]
        return found

    def _run_cell(
        self, cell: Cell, racers: Sequence[Racer], found: Sequence[Laps], bar: Any
    ) -> None:
        bar.set_description(cell.in_words)
        calls = self._calls(cell, racers, bar)
        for number in range(self.rounds):
            # The first of a round computes on a machine that rested longer, or shorter.
            for place in range(len(racers)):
                chosen = (place + number) % len(racers)
                first, count = number * calls[chosen], calls[chosen]
                answer = racers[chosen].ask(request("time", cell, first=first, calls=count))
                answer.pop("memory", None)
                found[chosen].turns.setdefault(cell, []).append(answer)
                bar.update()

    def _calls(self, cell: Cell, racers: Sequence[Racer], bar: Any) -> list[int]:
        """Of a turn, for each; warms them up to find out."""
        needed = []
        for racer in racers:
            warm_up = request("warm_up", cell, seconds=self.seconds * _WARM_UP_SHARE)
            needed.append(racer.ask(warm_up)["seconds"])
            bar.update()
        if cell.length is None:  # the same rows for all, or they would not be comparable
            needed = [sum(needed) / len(needed)] * len(needed)
        a_turn = self.seconds / self.rounds
        return [min(MAX_CALLS_A_TURN, max(1, round(a_turn / seconds))) for seconds in needed]


def cell_results(laps: Laps, first: Laps | None) -> list[CellResult]:
    """Of each cell.

    Args:
        laps: Of a contender.
        first: Of the one that it is compared with; None for that itself.
    """
    results = [_cell_result(cell, turns) for cell, turns in laps.turns.items()]
    if first is None:
        return results
    others = [_cell_result(cell, turns) for cell, turns in first.turns.items()]
    return [_compared(r, o) for r, o in zip(results, others, strict=True)]


def _compared(result: CellResult, other: CellResult) -> CellResult:
    return replace(result, ratio_to_first=latency_ratio(result, other))


def _cell_result(cell: Cell, turns: Sequence[Seconds]) -> CellResult:
    latencies = {
        name: _latency([turn[name] for turn in turns], cell.batch_size) for name in turns[0]
    }
    return CellResult(
        cell,
        sum(len(turn["network"]) for turn in turns),
        latencies["network"],
        latencies.get("call"),
        latencies.get("tokenization"),
    )


def _latency(rounds: Sequence[Sequence[float]], batch_size: int) -> Latency:
    calls = torch.tensor([seconds for turn in rounds for seconds in turn], dtype=torch.float64)
    medians = torch.tensor([percentile(torch.tensor(turn), 50) * _MS for turn in rounds])
    p50, p95, p99 = (percentile(calls, percent) * _MS for percent in (50, 95, 99))
    return Latency(
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        rows_per_second=batch_size * len(calls) / float(calls.sum()),
        median_ms=Estimate(*median_interval(medians)),
        rounds_ms=medians.tolist(),
    )


def _described(racer: Racer) -> dict[str, Any]:
    answer = racer.ask(request("describe"))
    answer.pop("memory", None)
    return answer
