"""Time opened networks in turns, so that what disturbs the machine disturbs all of them."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lightning_app.artifact.text_encoder import Batch
from lightning_app.artifact.text_model import Network
from lightning_app.structure_search.waiting import Waiting

Milliseconds = dict[int, float]
"""Of a call, by length."""

MIN_ROUNDS = 8
MAX_ROUNDS = 40

_STEADY_CALLS = 2
_FAST_SHARE = 0.25


class ProbeTimer:
    """Times calls of networks: of one length again and again (``steady``), and of lengths that
    change (``changing``), since runtimes are faster at a length that they have just had.

    Args:
        networks: Opened.
        batches: By length, what they are called with.
        seed: Of the order of turns.
    """

    def __init__(
        self, networks: Sequence[Network], batches: Mapping[int, Batch], seed: int = 0
    ) -> None:
        self._networks = networks
        self._batches = batches
        self._random = random.Random(seed)
        self._steady: list[dict[int, list[float]]] = [{} for _ in networks]
        self._changing: list[dict[int, list[float]]] = [{} for _ in networks]
        self.waited = 0.0
        """Share of the time of all rounds that went by waiting for a core."""

    @property
    def steady(self) -> list[Milliseconds]:
        """Of each network."""
        return [_undisturbed(samples) for samples in self._steady]

    @property
    def changing(self) -> list[Milliseconds]:
        """Of each network."""
        return [_undisturbed(samples) for samples in self._changing]

    def rounds(self, seconds: float) -> Iterator[float]:
        """Rounds in which each network has a turn, until the time is up.

        Args:
            seconds: For all rounds; at least 8 are run, and at most 40.

        Yields:
            After each the share that is done.
        """
        for number in range(len(self._networks)):
            self._turn(number)  # allocates, chooses kernels
        for samples in (*self._steady, *self._changing):
            samples.clear()
        waiting = Waiting()
        start = time.perf_counter()
        for done in range(1, MAX_ROUNDS + 1):
            for number in self._random.sample(range(len(self._networks)), len(self._networks)):
                self._turn(number)
            self.waited = waiting.share
            spent = (time.perf_counter() - start) / seconds
            yield min(1.0, max(done / MAX_ROUNDS, min(spent, done / MIN_ROUNDS)))
            if spent >= 1 and done >= MIN_ROUNDS:
                return

    def _turn(self, number: int) -> None:
        network, batches = self._networks[number], self._batches
        for length, batch in batches.items():
            network(batch)  # the others have had the caches
            for _ in range(_STEADY_CALLS):
                self._steady[number].setdefault(length, []).append(_seconds(network, batch))
        for length in self._random.sample(list(batches), len(batches)):
            seconds = _seconds(network, batches[length])
            self._changing[number].setdefault(length, []).append(seconds)


def undisturbed_ms(seconds: Sequence[float]) -> float:
    """What a call takes while nothing else computes: the mean of the fastest quarter, in ms.

    A median would be that of a machine as busy as it happened to be.
    """
    fastest = np.sort(np.asarray(seconds))[: max(1, round(_FAST_SHARE * len(seconds)))]
    return float(fastest.mean() * 1000)


def _undisturbed(samples: Mapping[int, Sequence[float]]) -> Milliseconds:
    return {length: undisturbed_ms(seconds) for length, seconds in samples.items()}


def _seconds(network: Network, batch: Batch) -> float:
    start = time.perf_counter()
    network(batch)
    return time.perf_counter() - start
