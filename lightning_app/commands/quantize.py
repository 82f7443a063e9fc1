"""Round weights and activations of a trained model to integers, without training."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from torch import nn

from callbacks.quantizable_modules import quantizable_modules
from callbacks.quantization_aware_training import EMBEDDING, OPERATION
from datamodules import TextDataModule
from lightning_app.commands.accuracy_search import search_groups_to_leave
from lightning_app.commands.activation_ranges import RANGE_KINDS, RangeKind, activation_ranges
from lightning_app.commands.module_groups import module_groups
from lightning_app.commands.quantization_result import AccuracySearch, QuantizationResult
from lightning_app.commands.quantized_checkpoint import weight_bytes
from lightning_app.commands.row_scorer import Precision, RowScorer, Score
from lightning_app.commands.validation_scorer import ValidationScorer
from lightning_app.errors import InputError
from lightning_app.functional.quantization import integer_range
from modules.network_inputs import network_inputs
from modules.quantization import SCHEMES, ModuleQuantization, Quantization, Scheme
from modules.structure import evaluation_mode
from modules.text_classifier import TextClassifier

BY = "post-training"
HELD_BACK_BATCH_SIZE = 64


class Quantize:
    """Post-training quantization (Jacob et al. 2018, arXiv:1712.05877, section 3; entropy: Migacz
    2017, "8-bit Inference with TensorRT", GTC 2017): calibrates on training rows, and writes the
    same record that `callbacks.QuantizationAwareTraining` does.

    The checkpoint computes with the rounding wherever it is opened; its weights stay float32. With
    ``max_drop`` those modules stay in float32 that cost most, measured on training rows that ranges
    were not taken from; the validation set decides nothing.

    Args:
        scheme: ``static`` (int8 activations with a fixed scale), ``dynamic`` (with one for each
            token, nothing to calibrate) or ``weight_only``. Weights have a scale for each row.
        weight_bits: Of the linear layers' weights, in [2, 8]; embeddings have 8. With 7, products
            of CPUs with AVX-512 but no VNNI do not saturate.
        group_size: Neighbouring inputs of a linear layer with a scale of their own, 32 say with 4
            bits; by default a whole row has one.
        observer: Ranges of ``static``, over all calibration rows: ``min_max``; ``percentile``, a
            share of the values, the default, as it cost least where it was tried; ``entropy``,
            clipped where the least information is lost.
        percentile: Of the values within the range, in (0, 100] per cent, half of the others at
            each end.
        num_rows: Training rows to calibrate on.
        batch_size: Rows a batch of them.
        include: Patterns on the names of modules; by default the linear layers of the encoder and
            the embeddings.
        exclude: Patterns on the names of modules to leave out.
        max_drop: What all may cost, in units of the score: 0.01 is one point. None to quantize all.
        num_held_back: Training rows, none of those that ranges are taken from, to measure it on.
        output: The checkpoint; by default `checkpoints/quantized.ckpt` of the run.
        overwrite: Replace it if it is there.
        seed: Of the choice of rows.

    Example::

        model = TextClassifier.load_from_checkpoint("runs/mrpc/version_0/checkpoints/best.ckpt")
        data = GLUEDataModule("mrpc", tokenizer="bert-base-uncased")
        result = Quantize(observer="entropy").quantize(model, data)
    """

    def __init__(
        self,
        scheme: Scheme = "static",
        weight_bits: int = 8,
        group_size: int | None = None,
        observer: RangeKind | None = None,
        percentile: float = 99.999,
        num_rows: int = 512,
        batch_size: int = 32,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        max_drop: float | None = None,
        num_held_back: int = 1024,
        output: str | None = None,
        overwrite: bool = False,
        seed: int = 42,
    ) -> None:
        self.scheme = scheme
        self.weight_bits = weight_bits
        self.group_size = group_size
        self.observer: RangeKind = observer or "percentile"
        self.percentile = percentile
        self.num_rows = num_rows
        self.batch_size = batch_size
        self.include = include
        self.exclude = exclude
        self.max_drop = max_drop
        self.num_held_back = num_held_back
        self.output = output
        self.overwrite = overwrite
        self.seed = seed
        self._check_choices(observer is not None)
        self._check_numbers()

    def quantize(
        self,
        model: TextClassifier,
        data: TextDataModule,
        precision: Precision = nullcontext,
        show_progress: bool = False,
    ) -> QuantizationResult:
        """Quantize the model, in place; its record follows.

        Args:
            model: With its network built and nothing quantized, on the device to compute on.
            data: Of the model's task.
            precision: Of the network's calls.
            show_progress: On the terminal.

        Raises:
            InputError: If it is quantized already, a pattern matches nothing, a module takes no
                part, or there are too few training rows.
        """
        started = time.monotonic()
        _check_is_plain(model)
        names = quantizable_modules(model, self.include, self.exclude)
        data.setup("validate")
        if self.scheme == "static" or self.max_drop is not None:
            data.setup("fit")
        with evaluation_mode(model):
            scorer = ValidationScorer(model, data, None, self.seed, precision)
            before = scorer.score()
            whole, num_rows = self._prepare(model, data, names, precision)
            search = self._search(model, data, whole, precision, show_progress)
            left = _left(search)
            _apply(model, whole, [name for name in names if name not in left])
            after = scorer.score()
        self._note(model, num_rows, len(left))
        return self._result(model, data, (before, after), num_rows, search, started)

    def _prepare(
        self,
        model: TextClassifier,
        data: TextDataModule,
        names: Sequence[str],
        precision: Precision,
    ) -> tuple[Quantization, int]:
        """How each module is quantized, and on how many rows that was calibrated."""
        assert model.network is not None
        modules = {name: model.network.get_submodule(name) for name in names}
        whole = Quantization({name: self._how(module) for name, module in modules.items()})
        linears = [name for name in names if whole.modules[name].scheme == "static"]
        if not linears:
            return whole, 0
        batches = _on_device(
            data.calibration_loader(self.num_rows, self.batch_size, self.seed), model
        )
        ranges = activation_ranges(
            model.network, linears, batches, self.observer, self.percentile, precision
        )
        _check_all_seen(linears, ranges)
        return whole.with_ranges(ranges), sum(len(batch["input_ids"]) for batch in batches)

    def _how(self, module: nn.Module) -> ModuleQuantization:
        if isinstance(module, nn.Embedding):
            return EMBEDDING
        return ModuleQuantization(self.scheme, self.weight_bits, self.group_size)

    def _search(
        self,
        model: TextClassifier,
        data: TextDataModule,
        whole: Quantization,
        precision: Precision,
        show_progress: bool,
    ) -> AccuracySearch | None:
        if self.max_drop is None:
            return None
        assert model.network is not None
        loader = data.calibration_loader(
            self.num_held_back, HELD_BACK_BATCH_SIZE, self.seed, skip=self.num_rows
        )
        if len(loader.dataset) == 0:
            raise InputError(
                "Expected `quantize.num_rows` to leave training rows to measure"
                f" `quantize.max_drop` on, got {self.num_rows}, which is all of them; set fewer."
            )
        return search_groups_to_leave(
            module_groups(model.network, list(whole.modules)),
            lambda groups: _apply(model, whole, [n for g in groups for n in g.modules]),
            RowScorer(model, data.task, {"train": loader}, precision),
            self.max_drop,
            show_progress,
        )

    def _note(self, model: TextClassifier, num_rows: int, num_left: int) -> None:
        assert model.architecture is not None
        details: dict[str, Any] = {"by": BY, "scheme": self.scheme}
        if num_rows:
            details |= {"observer": self.observer, "rows": num_rows}
        if self.max_drop is not None:
            details |= {"max_drop": self.max_drop, "left": num_left}
        model.architecture = model.architecture.with_operation(OPERATION, **details)

    def _result(
        self,
        model: TextClassifier,
        data: TextDataModule,
        scores: tuple[Score, Score],
        num_rows: int,
        search: AccuracySearch | None,
        started: float,
    ) -> QuantizationResult:
        assert model.network is not None
        assert model.architecture is not None
        assert model.architecture.quantization is not None
        return QuantizationResult(
            task=data.task.name,
            scheme=self.scheme,
            observer=self.observer if num_rows else None,
            rows=num_rows,
            before=scores[0],
            after=scores[1],
            num_quantized=len(model.architecture.quantization.modules),
            num_left=len(_left(search)),
            weight_bytes=weight_bytes(model.network),
            float32_bytes=4 * sum(p.numel() for p in model.network.parameters()),
            search=search,
            seconds=round(time.monotonic() - started, 1),
        )

    def _check_choices(self, names_observer: bool) -> None:
        if self.scheme not in SCHEMES:
            known = ", ".join(SCHEMES)
            raise InputError(
                f"Expected `quantize.scheme` to be one of {known}, got {self.scheme!r}."
            )
        if self.observer not in RANGE_KINDS:
            known = ", ".join(RANGE_KINDS)
            raise InputError(
                f"Expected `quantize.observer` to be one of {known}, got {self.observer!r}."
            )
        if self.output is not None and not self.output.endswith(".ckpt"):
            raise InputError(
                f"Expected `quantize.output` to be a file named `*.ckpt`, got {self.output!r}."
            )
        if names_observer and self.scheme != "static":
            raise InputError(
                f"Expected `quantize.observer: {self.observer}` with `quantize.scheme: static`,"
                f" whose ranges are observed, got it with {self.scheme!r}; leave it out."
            )

    def _check_numbers(self) -> None:
        try:
            integer_range(self.weight_bits)
        except ValueError:
            raise InputError(
                f"Expected `quantize.weight_bits` to be in [2, 8], got {self.weight_bits}."
            ) from None
        if self.group_size is not None and self.group_size < 2:
            raise InputError(
                f"Expected `quantize.group_size` to be at least 2, got {self.group_size}."
            )
        if not 0 < self.percentile <= 100:
            raise InputError(
                f"Expected `quantize.percentile` to be in (0, 100], got {self.percentile}."
            )
        if self.max_drop is not None and self.max_drop < 0:
            raise InputError(f"Expected `quantize.max_drop` to be at least 0, got {self.max_drop}.")
        for name in ("num_rows", "batch_size", "num_held_back"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `quantize.{name}` to be at least 1, got {getattr(self, name)}."
                )


def _check_is_plain(model: TextClassifier) -> None:
    assert model.architecture is not None
    quantization = model.architecture.quantization
    if quantization is None or not quantization.modules:
        return
    starts = [e.get("checkpoint") for e in model.architecture.history if e.get("checkpoint")]
    hint = f", such as {starts[-1]}" if starts else ""
    raise InputError(
        "Expected `--ckpt_path` to be of a model that is not quantized, got one with"
        f" {len(quantization.modules)} quantized modules; start from the float model{hint}."
    )


def _check_all_seen(names: Sequence[str], ranges: dict[str, tuple[float, float]]) -> None:
    unseen = [name for name in names if name not in ranges]
    if unseen:
        raise InputError(
            "Expected every quantized linear layer to take part in an answer, but"
            f" {', '.join(unseen)} saw no batch; leave it out with `quantize.exclude`."
        )


def _on_device(loader: Any, model: TextClassifier) -> list[dict[str, Any]]:
    return [{k: t.to(model.device) for k, t in network_inputs(b).items()} for b in loader]


def _apply(model: TextClassifier, whole: Quantization, names: Sequence[str]) -> None:
    model.set_quantization(replace(whole, modules={name: whole.modules[name] for name in names}))


def _left(search: AccuracySearch | None) -> set[str]:
    if search is None:
        return set()
    return {name for cost in search.costs if cost.is_left for name in cost.group.modules}
