"""Take out of a trained model what makes it slow here, to meet a measured target."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info

from datamodules import TextDataModule
from lightning_app.artifact.formats import FORMATS
from lightning_app.errors import InputError
from modules.architecture import ArchitectureRecord
from modules.text_classifier import TextClassifier

if TYPE_CHECKING:
    from lightning_app.structure_search import LatencyTable, StructureChoice

FILE = "shrunk.ckpt"
GOALS = ("speedup", "latency_ms", "size_mb", "parameters")
OPERATION = "shrink"
TASK = "task"
NUM_LENGTHS = 1024
"""Validation rows whose lengths stand for the task's."""
_GRAPH_BYTES_OF_LAYER = {
    "hf": 4_000, "torch": 40_000, "onnx": 12_000, "onnx-int8": 20_000, "openvino": 60_000,
    "openvino-int8": 100_000,
}  # fmt: skip
"""Of a layer, rather more than BERT's exports take beside weights and tokenizer."""
_CARD_BYTES = 30_000
"""Card and manifest."""


@dataclass(frozen=True)
class ShrinkResult:
    """What became of the model.

    Args:
        choice: The structure.
        goal: What was asked for, by name.
        budget: The same as milliseconds, bytes or parameters that it may cost.
        reference_ms: One call of the reference in plain PyTorch; None without a speedup.
        before_ms: The model as it was, in the runtime; None without a table.
        parameters_before: Of the model as it was.
        seconds: That it took.
    """

    choice: "StructureChoice"
    goal: dict[str, float]
    budget: dict[str, float]
    reference_ms: float | None
    before_ms: float | None
    parameters_before: int
    seconds: float

    @property
    def predicted_speedup(self) -> float | None:
        """Of the model as it is now, against the reference."""
        after = self.choice.predicted_ms
        return None if self.reference_ms is None or not after else self.reference_ms / after

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **{k: v for k, v in asdict(self).items() if k != "choice"},
            "choice": self.choice.as_plain(),
            "predicted_speedup": self.predicted_speedup,
            "meets_budget": self.choice.meets_budget,
        }


class Shrink:
    """Chooses how many layers, heads and FFN neurons stay, by what they cost on this machine and
    by what the answers lose without them (Kurtic et al. 2023, "ZipLM", arXiv:2302.04089; Frantar
    & Alistarh 2022, "SPDY", arXiv:2201.13096), and takes the others out.

    Times are of the runtime that the model is to ship in, measured once and kept in the cache. The
    model that is written needs training: a teacher brings back most of what it has lost.

    Args:
        speedup: Times as fast as the reference in plain PyTorch, float32.
        latency_ms: Of one call, in place of `speedup`.
        size_mb: Of the exported folder, in 10^6 bytes, in place of the two.
        parameters: Most that are left, in place of the three.
        runtime: One of the formats of `glint export`.
        batch_size: Rows of the call.
        length: Tokens of its rows, or `task` for the lengths of validation rows.
        threads: To compute with; by default the cores that this process may use.
        reference: Checkpoint that `speedup` is relative to; by default the one that is shrunk.
        margin: Share of the time that is kept in hand, as predictions err, in [0, 1).
        drop_layers: Whether whole layers may go.
        num_rows: Training rows on which answers are compared.
        num_candidates: Structures that are compared on them.
        recovery_steps: That the best of these, and regular structures (whole layers, or all cut to
            the same share), are trained for before the last choice; 0 for none.
        output: The checkpoint; by default `checkpoints/shrunk.ckpt` of the run.
        overwrite: Replace it if it is there.
        seed: Of the choice of rows and of the search.

    Example::

        glint shrink --config RUN/config.yaml --ckpt_path best --shrink.speedup 4
    """

    def __init__(
        self,
        speedup: float | None = None,
        latency_ms: float | None = None,
        size_mb: float | None = None,
        parameters: int | None = None,
        runtime: str = "openvino-int8",
        batch_size: int = 1,
        length: int | Literal["task"] = "task",
        threads: int | None = None,
        reference: str | None = None,
        margin: float = 0.03,
        drop_layers: bool = True,
        num_rows: int = 256,
        num_candidates: int = 24,
        recovery_steps: int = 60,
        output: str | None = None,
        overwrite: bool = False,
        seed: int = 42,
    ) -> None:
        named = dict(zip(GOALS, (speedup, latency_ms, size_mb, parameters), strict=True))
        self.goal = {name: float(value) for name, value in named.items() if value is not None}
        self.runtime = runtime
        self.batch_size = batch_size
        self.length = length
        self.threads = threads
        self.reference = reference
        self.margin = margin
        self.drop_layers = drop_layers
        self.num_rows = num_rows
        self.num_candidates = num_candidates
        self.recovery_steps = recovery_steps
        self.output = output
        self.overwrite = overwrite
        self.seed = seed
        self._check_arguments()

    def shrink(
        self, model: TextClassifier, data: TextDataModule, show_progress: bool = False
    ) -> ShrinkResult:
        """Make the model smaller, in place; its record follows.

        Args:
            model: With its network built and nothing quantized.
            data: Of the model's task.
            show_progress: On the terminal.

        Raises:
            InputError: If its family cannot be changed, or it is quantized.
        """
        from lightning_app.structure_search import choose_structure

        started = time.monotonic()
        _check_is_plain(model)
        assert model.architecture is not None
        base = self._reference(model.architecture)
        data.setup("fit")
        lengths = self._lengths(data)
        table = self._table(base, data.max_seq_length, show_progress)
        reference_ms = self._reference_ms(base, lengths)
        budget = self._budget(model, reference_ms)
        before = model.architecture
        parameters = sum(p.numel() for p in _network(model).parameters())
        choice = choose_structure(
            model,
            data,
            table,
            lengths,
            budget,
            num_rows=self.num_rows,
            num_candidates=self.num_candidates,
            recovery_steps=self.recovery_steps,
            drop_layers=self.drop_layers,
            nearest=True,
            seed=self.seed,
            say=rank_zero_info,
            show_progress=show_progress,
            runtime=self.runtime,
        )
        result = ShrinkResult(
            choice,
            self.goal,
            {name: value for name, value in asdict(budget).items() if value is not None},
            reference_ms,
            None if table is None else table.predict(_shapes(before, model), lengths),
            parameters,
            round(time.monotonic() - started, 1),
        )
        self._apply(model, choice)
        return result

    def _apply(self, model: TextClassifier, choice: "StructureChoice") -> None:
        if len(choice.layers_kept) < len(choice.layers):
            model.keep_layers(choice.layers_kept, by=OPERATION)
        model.prune_structure(choice.heads, choice.neurons, by=OPERATION)

    def _reference(self, record: ArchitectureRecord) -> ArchitectureRecord:
        """The record of the model before it was made smaller."""
        from lightning_app.checkpoint import read_glint_checkpoint

        if self.reference is None:
            return record
        return ArchitectureRecord.from_plain(read_glint_checkpoint(self.reference)["architecture"])

    def _lengths(self, data: TextDataModule) -> int | list[int]:
        if self.length != TASK:
            return int(self.length)
        # Training rows need not be as long: those of SST-2 are mostly phrases, half as long.
        parts = data.validation_part(NUM_LENGTHS, self.seed)
        lengths = sorted(int(length) for part in parts for length in part.dataset.lengths)
        # Rows of similar length go together; the longest counts, as all are padded to it.
        starts = range(0, len(lengths), self.batch_size)
        return [lengths[start : start + self.batch_size][-1] for start in starts]

    def _table(
        self, base: ArchitectureRecord, longest: int, show_progress: bool
    ) -> "LatencyTable | None":
        from lightning_app.structure_search import LatencyTable

        if not {"speedup", "latency_ms"} & set(self.goal):
            return None
        return LatencyTable.open_or_measure(
            base,
            self.runtime,
            self._num_threads,
            self.batch_size,
            say=rank_zero_info,
            longest=max(longest, 0 if self.length == TASK else int(self.length)),
            show_progress=show_progress,
        )

    def _reference_ms(self, base: ArchitectureRecord, lengths: int | Sequence[int]) -> float | None:
        from lightning_app.structure_search.reference_latency import reference_latency

        if "speedup" not in self.goal:
            return None
        return reference_latency(
            replace(base, quantization=None),
            self._num_threads,
            self.batch_size,
            lengths,
            say=rank_zero_info,
        )

    def _budget(self, model: TextClassifier, reference_ms: float | None) -> Any:
        from lightning_app.structure_search import Budget

        (name, value), *_ = self.goal.items()
        if name == "speedup":
            assert reference_ms is not None
            return Budget(latency_ms=reference_ms / value * (1 - self.margin))
        if name == "latency_ms":
            return Budget(latency_ms=value * (1 - self.margin))
        if name == "parameters":
            return Budget(parameters=int(value))
        beside = _beside_weights_mb(model, self.runtime)
        if value <= beside:
            raise InputError(
                f"Expected `shrink.size_mb` to be above {beside:.2f}, which tokenizer, graph and"
                f" card take beside the weights in {self.runtime}, got {value:g}."
            )
        return Budget(size_mb=value - beside)

    @property
    def _num_threads(self) -> int:
        from lightning_app.processor import Processor

        return self.threads or max(1, int(Processor.here().cores))

    def _check_arguments(self) -> None:
        if len(self.goal) != 1:
            got = ", ".join(f"{k}={v:g}" for k, v in self.goal.items()) or "none"
            raise InputError(
                f"Expected one of {', '.join(f'`shrink.{name}`' for name in GOALS)}, got {got};"
                " set, for example, `--shrink.speedup 4`."
            )
        for name, value in self.goal.items():
            if value <= 0:
                raise InputError(f"Expected `shrink.{name}` to be above 0, got {value:g}.")
        if self.runtime not in FORMATS:
            raise InputError(
                f"Expected `shrink.runtime` to be one of {', '.join(FORMATS)}, got"
                f" {self.runtime!r}."
            )
        if not 0 <= self.margin < 1:
            raise InputError(f"Expected `shrink.margin` to be in [0, 1), got {self.margin:g}.")
        for name in ("batch_size", "num_rows", "num_candidates"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `shrink.{name}` to be at least 1, got {getattr(self, name)}."
                )
        if self.recovery_steps < 0:
            raise InputError(
                f"Expected `shrink.recovery_steps` to be at least 0, got {self.recovery_steps}."
            )
        if self.output is not None and not self.output.endswith(".ckpt"):
            raise InputError(
                f"Expected `shrink.output` to be a file named `*.ckpt`, got {self.output!r}."
            )


def _beside_weights_mb(model: TextClassifier, runtime: str) -> float:
    """What an exported folder holds beside the weights, in 10^6 bytes, rather more than less."""
    from lightning_app.pretrained import tokenizer_files

    assert model.architecture is not None
    files = tokenizer_files(model.tokenizer).values()
    graph = _GRAPH_BYTES_OF_LAYER[runtime] * len(_shapes(model.architecture, model))
    return (sum(len(text.encode()) for text in files) + graph + _CARD_BYTES) / 1e6


def _check_is_plain(model: TextClassifier) -> None:
    assert model.architecture is not None
    quantization = model.architecture.quantization
    if quantization is not None and quantization.modules:
        raise InputError(
            "Expected `--ckpt_path` to be of a model that is not quantized, got one with"
            f" {len(quantization.modules)} quantized modules; shrink the float model, and quantize"
            " afterwards."
        )


def _network(model: TextClassifier) -> torch.nn.Module:
    assert model.network is not None
    return model.network


def _shapes(record: ArchitectureRecord, model: TextClassifier) -> Any:
    from modules.structure import layer_shapes

    assert model.network is not None
    return record.layers or layer_shapes(model.network)
