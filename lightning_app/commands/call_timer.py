"""Time an opened artifact."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_app.artifact.text_model import TextModel

Seconds = dict[str, list[float]]
"""By what was timed (``network``, ``call``, ``tokenization``), one a call."""

Columns = tuple[list[str], list[str] | None]
"""Texts and pairs."""

MIN_WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Cell:
    """What a call computes.

    Args:
        batch_size: Rows at once.
        length: Tokens of each row; None for the lengths that the task's own rows have.
        threads: To compute with.
    """

    batch_size: int
    length: int | None
    threads: int

    @property
    def in_words(self) -> str:
        """For a heading."""
        length = "the task's lengths" if self.length is None else f"{self.length} tokens"
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"batch {self.batch_size}, {length}, {threads}"


class CallTimer:
    """Times calls of one cell: of made-up rows the network alone, of the task's own rows also
    the whole call from texts to answers, and what the tokenization takes.

    Args:
        model: Opened with the cell's threads.
        cell: What a call computes.
        columns: The task's rows, in the order in which they are to be asked for.
    """

    def __init__(self, model: "TextModel", cell: Cell, columns: Columns | None = None) -> None:
        self._model = model
        self._cell = cell
        self._columns = columns
        self._half = 0 if columns is None else len(columns[0]) // 2
        self._made_up = (
            None if cell.length is None else model.encoder.made_up(cell.batch_size, cell.length)
        )

    def warm_up(self, seconds: float) -> float:
        """Make calls for so many seconds, at least three.

        Returns:
            Seconds that a timed call takes with all that belongs to it.
        """
        if self._columns is not None and self._cell.batch_size == 1:
            rows = self._model.encoder.encode(*self._columns)
            self._model.warm_up([len(row.ids) for row in rows])
        self.time(0, 1)  # allocates, chooses kernels, compiles
        start, calls = time.perf_counter(), 0
        while calls < MIN_WARM_UP_CALLS or time.perf_counter() - start < seconds:
            self.time(calls, 1)
            calls += 1
        return (time.perf_counter() - start) / calls

    def time(self, first: int, calls: int) -> Seconds:
        """Time calls.

        Args:
            first: Number of the first; it says which rows are asked for.
            calls: How many.
        """
        found: Seconds = {}
        for number in range(first, first + calls):
            for name, seconds in self._time_one(number).items():
                found.setdefault(name, []).append(seconds)
        return found

    def _time_one(self, number: int) -> dict[str, float]:
        if self._made_up is not None:
            return {"network": _timed(self._model.network, self._made_up)[0]}
        texts, pairs = self._rows(number * self._cell.batch_size)
        call, _ = _timed(lambda: self._model(texts, pairs, batch_size=self._cell.batch_size))
        # Other rows: runtimes are faster at a length that they have just had.
        texts, pairs = self._rows(number * self._cell.batch_size + self._half)
        encoder = self._model.encoder
        tokenization, batch = _timed(lambda: encoder.batch(encoder.encode(texts, pairs)))
        network, _ = _timed(self._model.network, batch)
        return {"network": network, "call": call, "tokenization": tokenization}

    def _rows(self, start: int) -> Columns:
        assert self._columns is not None
        texts, pairs = self._columns
        rows = [(start + place) % len(texts) for place in range(self._cell.batch_size)]
        return [texts[r] for r in rows], None if pairs is None else [pairs[r] for r in rows]


def _timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result
