"""How long a forward call takes by the shapes of the layers: measured here, once."""

import json
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from lightning_app.artifact.length_copies import copied_length
from lightning_app.artifact.runtime import makes_copies, runtime_version
from lightning_app.cache_key import cache_key
from lightning_app.errors import InputError
from lightning_app.functional.latency_model import LatencyModel, Sizes, fitted_latency, mixed
from lightning_app.processor import Processor
from lightning_app.structure_search.latency_measurement import measured
from lightning_app.structure_search.latency_probes import MAX_DEPTH, Probe, ProbeGrid
from lightning_app.structure_search.latency_worker import Assignment
from lightning_app.structure_search.probe_family import ProbeFamily
from lightning_app.structure_search.probe_timer import Milliseconds
from lightning_app.structure_search.waiting import say_if_busy
from lightning_app.teacher_cache import default_cache_root
from modules.architecture import ArchitectureRecord, LayerShape

VERSION = 2
"""Of how and what is measured: raise it when older tables should not be read."""

_SECONDS = 60.0
_SIZES_IN_CONFIG = (
    "model_type", "hidden_size", "dim", "embedding_size", "num_attention_heads", "n_heads",
    "intermediate_size", "hidden_dim", "hidden_act", "activation", "max_position_embeddings",
)  # fmt: skip


class LatencyTable:
    """Predicts one forward call of a network of any structure, on this machine in one runtime.

    Some thirty networks of random weights and known structure are timed in turns, in a process of
    their own; the times of the parts of a layer are what explains theirs best
    (`lightning_app.functional.latency_model`).

    Args:
        grid: What was measured.
        steady: By length the model of calls of that length alone.
        changing: By length the model of calls among others of other lengths.
        facts: What the times follow from: processor, runtime, threads, sizes.
    """

    def __init__(
        self,
        grid: ProbeGrid,
        steady: Mapping[int, LatencyModel],
        changing: Mapping[int, LatencyModel],
        facts: Mapping[str, Any],
    ) -> None:
        self.grid = grid
        self.facts = dict(facts)
        self._steady = dict(steady)
        self._changing = dict(changing)

    @classmethod
    def open_or_measure(
        cls,
        base: ArchitectureRecord,
        runtime: str,
        threads: int,
        batch_size: int = 1,
        say: Callable[[str], None] = print,
        longest: int = 128,
        root: Path | None = None,
        show_progress: bool = False,
        seconds: float = _SECONDS,
    ) -> "LatencyTable":
        """Read the table from the cache, or measure it: two to three minutes for MiniLM.

        Args:
            base: The record of the model before it is made smaller (its ``config`` counts).
            runtime: A format of `glint export`: ``hf`` (eager), ``torch``, ``onnx``, ``openvino``,
                ``onnx-int8``, ``openvino-int8``. Integers are those of `glint quantize` by default.
            threads: To compute with.
            batch_size: Rows of a call.
            say: Is told what is measured and where it is kept.
            longest: Longest input that will be asked for, in tokens.
            root: Folder of the tables; by default `latency` in Glint's cache.
            show_progress: On the terminal.
            seconds: Of timing, about; building the networks comes on top.

        Raises:
            InputError: If the model's layers cannot be changed, or nothing can be measured.
        """
        family = ProbeFamily(base, runtime)
        grid = ProbeGrid.of(family, longest)
        facts = _facts(family, threads, batch_size, grid)
        folder = default_cache_root().parent / "latency" if root is None else root
        file = folder / f"{runtime}-{cache_key(facts)[:16]}.json"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):  # two at once would disturb each other
            if not file.exists():
                say(f"Measuring the latency of {runtime} on this machine, for {str(file)!r}.")
                found = _measured(family, threads, batch_size, grid, seconds, show_progress)
                _write(file, found, facts)
                say_if_busy(found["waited"], file, say)
        return cls.read(file)

    @classmethod
    def read(cls, file: Path) -> "LatencyTable":
        """A table that was measured."""
        plain = json.loads(file.read_text("utf-8"))
        grid = ProbeGrid(**{name: tuple(values) for name, values in plain["grid"].items()})
        probes = [tuple((h, w) for h, w in probe) for probe in plain["probes"]]
        steady, changing = (
            [{int(length): ms for length, ms in times.items()} for times in plain[how]]
            for how in ("steady", "changing")
        )
        return cls.of_times(grid, probes, steady, changing, plain["facts"])

    @classmethod
    def of_times(
        cls,
        grid: ProbeGrid,
        probes: Sequence[Probe],
        steady: Sequence[Milliseconds],
        changing: Sequence[Milliseconds],
        facts: Mapping[str, Any],
    ) -> "LatencyTable":
        """The table that explains measured times.

        Args:
            grid: Of the table.
            probes: Networks that were measured.
            steady: Their times, of calls of a length alone.
            changing: Their times, of calls among others of other lengths.
            facts: What the times follow from.
        """
        of_steady, of_changing = (
            {
                length: fitted_latency(
                    probes, [ms[length] for ms in times], grid.heads, grid.widths
                )
                for length in grid.lengths
            }
            for times in (steady, changing)
        )
        return cls(grid, of_steady, of_changing, facts)

    def at(self, length: int | Sequence[int]) -> LatencyModel:
        """Times at a length, or the mean over calls of these lengths, one after the other.

        Args:
            length: In tokens, of the longest row of a call.

        Raises:
            InputError: If one is longer than what was measured.
        """
        lengths = [length] if isinstance(length, int) else length
        longest = self.grid.lengths[-1]
        if not lengths or min(lengths) < 1 or max(lengths) > longest:
            raise InputError(
                f"Expected one or more lengths in [1, {longest}], which the latency was measured"
                f" for, got {sorted(set(lengths))[-3:]}; measure it with `longest` of at least the"
                " longest."
            )
        models: list[LatencyModel] = []
        weights: list[float] = []
        for one, count in Counter(lengths).items():
            copied = self._copied(one)
            if isinstance(length, int):
                times = [self._steady]
            elif copied is None:
                times = [self._changing]
            else:  # calls of other copies leave a part of its weights in the caches
                times = [self._steady, self._changing]
            for measured_length, share in _neighbours(self.grid.lengths, copied or one):
                models += [by_length[measured_length] for by_length in times]
                weights += [share * count / len(lengths) / len(times)] * len(times)
        return mixed(models, weights)

    def predict(self, shapes: Sequence[LayerShape], length: int | Sequence[int]) -> float:
        """Milliseconds of one call.

        Args:
            shapes: Of the layers that are left, bottom first.
            length: As in :meth:`at`.
        """
        sizes = [(len(shape.heads), shape.intermediate_size) for shape in shapes]
        return self.at(length).predict(sizes)

    def layer_options(self) -> list[Sizes]:
        """Heads and FFN width of the layers that were measured, the largest first."""
        return [(h, w) for h in reversed(self.grid.heads) for w in reversed(self.grid.widths)]

    def _copied(self, length: int) -> int | None:
        """The length of the copy that computes a call."""
        if self.facts.get("batch_size") != 1 or not makes_copies(self.facts["format"]):
            return None
        return copied_length(length, self.grid.lengths[-1])


def _neighbours(grid: Sequence[int], length: int) -> list[tuple[int, float]]:
    """Measured lengths with the share of each at this one; below the shortest, that."""
    right = bisect_left(grid, length)
    if right == 0 or grid[right] == length:
        return [(grid[right], 1.0)]
    share = (length - grid[right - 1]) / (grid[right] - grid[right - 1])
    return [(grid[right - 1], 1 - share), (grid[right], share)]


def _facts(family: ProbeFamily, threads: int, batch_size: int, grid: ProbeGrid) -> dict[str, Any]:
    processor = Processor.here()
    config = family.base.config
    return {
        "version": VERSION,
        "processor": processor.name,
        "features": sorted(processor.features),
        "format": family.format,
        "runtime": runtime_version(family.format),
        "threads": threads,
        "batch_size": batch_size,
        "depth": _depth(family),
        "lengths": list(grid.lengths),
        "sizes": {name: config[name] for name in _SIZES_IN_CONFIG if name in config},
    }


def _depth(family: ProbeFamily) -> int:
    return max(2, min(family.num_layers, MAX_DEPTH))


def _measured(
    family: ProbeFamily,
    threads: int,
    batch_size: int,
    grid: ProbeGrid,
    seconds: float,
    show_progress: bool,
) -> dict[str, Any]:
    probes = grid.probes(_depth(family))
    assignment = Assignment(
        base=family.base.as_plain(),
        format=family.format,
        threads=threads,
        batch_size=batch_size,
        lengths=grid.lengths,
        probes=tuple(probes),
        seconds=seconds,
    )
    return {"grid": vars(grid), "probes": probes, **measured(assignment, show_progress)}


def _write(file: Path, table: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Under another name first: who opens the file finds it whole."""
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as stream:
        json.dump({"facts": facts, **table}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
