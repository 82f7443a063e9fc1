"""Train with the rounding of integers in the forward pass."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.nn import Embedding, Module

from callbacks.compression import Compression
from callbacks.quantizable_modules import quantizable_modules
from callbacks.quantization_schedule import QuantizationSchedule
from callbacks.range_observers import OBSERVERS, ObserverKind, RangeObservers
from callbacks.run_length import Unit
from lightning_app.errors import InputError
from lightning_app.functional.quantization import integer_range
from modules.fake_quantization import FakeQuantizedLinear
from modules.quantization import SCHEMES, ModuleQuantization, Quantization, Scheme
from modules.text_classifier import TextClassifier

OPERATION = "quantize"
EMBEDDING = ModuleQuantization("weight_only", weight_bits=8)
"""There are no activations to quantize, only rows."""


class QuantizationAwareTraining(Compression):
    """Lets the network get used to integers: fake quantization (Jacob et al. 2018, "Quantization
    and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    arXiv:1712.05877; of BERT: Zafrir et al. 2019, "Q8BERT", arXiv:1910.06188).

    From ``start`` on weights and activations are rounded in each forward pass to what integers can
    say, and gradients go straight through. What is rounded and how is in the architecture record:
    any checkpoint is validated and used as it was trained, without this callback. Weights in the
    checkpoint stay what they are in float32. The numerics are torchao's.

    Two of them may quantize different modules in different ways.

    Args:
        scheme: ``dynamic`` (int8 activations with a scale for each token), ``static`` (int8
            activations with a fixed scale, from ranges that are observed between ``start`` and
            ``freeze``), or ``weight_only``. Weights are symmetric with a scale for each row.
        start: When it begins, in ``unit``.
        freeze: When the ranges of ``static`` are fixed, in ``unit``; by default in the middle
            between ``start`` and the end.
        unit: Of both: ``fraction`` of the run, ``epochs`` or optimizer ``steps``.
        weight_bits: Of the linear layers' weights, in [2, 8]; embeddings have 8. With 7, products
            of CPUs with AVX-512 but no VNNI do not saturate.
        group_size: Neighbouring inputs of a linear layer that have a scale of their own, 32 say
            with 4 bits; by default a whole row has one.
        observer: Of ``static``: ``min_max`` of each batch without its padding, or its
            ``percentile``.
        percentile: Share of a batch's activations within its range, in (0, 100] per cent, half of
            the others at each end.
        averaging_constant: Of the moving average over batches, in (0, 1]; 0.01 as in PyTorch's
            observers.
        include: Patterns on the names of modules; by default the linear layers of the encoder and
            the embeddings.
        exclude: Patterns on the names of modules to leave out.

    Example::

        --trainer.callbacks+=callbacks.QuantizationAwareTraining --trainer.callbacks.scheme=static
    """

    def __init__(
        self,
        scheme: Scheme = "dynamic",
        start: float = 0.0,
        freeze: float | None = None,
        unit: Unit = "fraction",
        weight_bits: int = 8,
        group_size: int | None = None,
        observer: ObserverKind = "min_max",
        percentile: float = 99.999,
        averaging_constant: float = 0.01,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
    ) -> None:
        _check_scheme(scheme, freeze, unit)
        _check_weights(weight_bits, group_size)
        _check_observer(observer, percentile, averaging_constant)
        self.scheme = scheme
        self.weight_bits = weight_bits
        self.group_size = group_size
        self.include = include
        self.exclude = exclude
        if scheme == "static" and freeze is None:
            freeze = (start + 1) / 2
        self.schedule = QuantizationSchedule(start, freeze, unit)
        self.observers = RangeObservers(observer, percentile, averaging_constant)
        self._is_on = False
        self._is_frozen = False
        self._steps = (0, 0)
        self._names: list[str] = []

    @property
    def state_key(self) -> str:
        """One for each choice of modules and of how they are quantized."""
        return self._generate_state_key(
            scheme=self.scheme,
            weight_bits=self.weight_bits,
            group_size=self.group_size,
            include=self.include,
            exclude=self.exclude,
        )

    @property
    def is_complete(self) -> bool:
        """Whether fake quantization is on, and ranges are fixed."""
        return self._is_on and (self._is_frozen or self.scheme != "static")

    def metrics(self) -> dict[str, float]:
        """How many modules are fake-quantized, and whether ranges are fixed."""
        metrics = {"fake_quantized_modules": float(len(self._names) if self._is_on else 0)}
        if self.scheme == "static":
            metrics["ranges_are_fixed"] = float(self._is_frozen)
        return metrics

    def course(self, step: int) -> dict[str, float | str]:
        """Whether it is on by then, and whether ranges are fixed."""
        start, freeze = self._steps
        if step < start:
            return {"rounding": "off"}
        observes = self.scheme == "static" and step < freeze
        return {"rounding": f"{self.scheme}, ranges observed" if observes else self.scheme}

    def state_dict(self) -> dict[str, Any]:
        """How far it is; the ranges themselves are in the architecture record."""
        return {
            "is_on": self._is_on,
            "is_frozen": self._is_frozen,
            "num_batches": self.observers.num_batches,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on observing, or with fixed ranges."""
        self._is_on = state_dict["is_on"]
        self._is_frozen = state_dict["is_frozen"]
        self.observers.num_batches = state_dict["num_batches"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse patterns that match nothing, before anything is trained."""
        if stage != "fit":
            return
        model = self.classifier(pl_module)
        model.ensure_network()
        quantizable_modules(model, self.include, self.exclude)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the steps; a resumed checkpoint must have been quantized by this callback."""
        assert isinstance(pl_module, TextClassifier)
        self._steps = self.schedule.in_steps(trainer)
        self._names = quantizable_modules(pl_module, self.include, self.exclude)
        _check_resumed(trainer, pl_module)
        self._check_alone(trainer)
        if self._is_on and not self.is_complete:
            self._observe(pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin, or fix the ranges, if that is due before the coming optimizer step."""
        assert isinstance(pl_module, TextClassifier)
        start, freeze = self._steps
        if not self._is_on and trainer.global_step >= start:
            self._begin(pl_module)
        if self._is_on and not self.is_complete and trainer.global_step >= freeze:
            self._freeze(pl_module)
        self.observers.begin_batch(trainer, batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the batch into the ranges."""
        if self._is_on and not self.is_complete:
            assert isinstance(pl_module, TextClassifier)
            present = _present(pl_module)
            pl_module.set_quantization(present.with_ranges(self.observers.update(trainer)))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave nothing in the module that is not in its record."""
        self.observers.detach()

    def _check_alone(self, trainer: Trainer) -> None:
        for other in _all(trainer):
            both = set(self._names) & set(other._names)
            if other is not self and both:
                raise InputError(
                    "Expected each `callbacks.QuantizationAwareTraining` to quantize different"
                    f" modules, but {', '.join(sorted(both)[:3])} is of two; set `include` or"
                    " `exclude`."
                )

    def _begin(self, model: TextClassifier) -> None:
        assert model.network is not None
        assert model.architecture is not None
        self._is_on = True
        modules = {name: self._how(model.network.get_submodule(name)) for name in self._names}
        model.set_quantization(_present(model).with_modules(modules))
        model.architecture = model.architecture.with_operation(
            OPERATION, by=self.state_key, scheme=self.scheme
        )
        if not self.is_complete:
            self._observe(model)

    def _how(self, module: Module) -> ModuleQuantization:
        if isinstance(module, Embedding):
            return EMBEDDING
        return ModuleQuantization(self.scheme, self.weight_bits, self.group_size)

    def _observe(self, model: TextClassifier) -> None:
        assert model.network is not None
        modules = {name: model.network.get_submodule(name) for name in self._names}
        linears = {n: m for n, m in modules.items() if isinstance(m, FakeQuantizedLinear)}
        self.observers.attach(linears)

    def _freeze(self, model: TextClassifier) -> None:
        self.observers.detach()
        self._is_frozen = True
        modules = _present(model).modules
        unseen = [
            name
            for name in self._names
            if modules[name].scheme == "static" and modules[name].activation_range is None
        ]
        if unseen:
            raise InputError(
                "Expected every quantized linear layer to take part in training, but"
                f" {', '.join(unseen)} saw no batch; leave it out with `exclude`."
            )


def _present(model: TextClassifier) -> Quantization:
    assert model.architecture is not None
    return model.architecture.quantization or Quantization()


def _check_resumed(trainer: Trainer, model: TextClassifier) -> None:
    assert model.architecture is not None
    keys = {callback.state_key for callback in _all(trainer)}
    since_start = model.architecture.since_start
    others = {e["by"] for e in since_start if e["operation"] == OPERATION} - keys
    if others:
        raise InputError(
            "Expected `--ckpt_path` to be of a run with `callbacks.QuantizationAwareTraining` as it"
            f" is configured, but it was quantized by {', '.join(sorted(others))}; resume with the"
            " callback as it was, or start from its weights with"
            " `--model.model_name_or_path CHECKPOINT` in place of `--ckpt_path`."
        )


def _all(trainer: Trainer) -> list[QuantizationAwareTraining]:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return [c for c in callbacks if isinstance(c, QuantizationAwareTraining)]


def _check_scheme(scheme: str, freeze: float | None, unit: str) -> None:
    if scheme not in SCHEMES:
        raise InputError(f"Expected `scheme` to be one of {', '.join(SCHEMES)}, got {scheme!r}.")
    if freeze is not None and scheme != "static":
        raise InputError(
            f"Expected `freeze` with `scheme: static`, whose ranges are observed, got it with"
            f" {scheme!r}; leave it out."
        )
    if freeze is None and scheme == "static" and unit != "fraction":
        raise InputError(
            f"Expected `freeze` with `scheme: static` and `unit: {unit}`, got None; set it, or"
            " leave the unit at `fraction`."
        )


def _check_weights(weight_bits: int, group_size: int | None) -> None:
    try:
        integer_range(weight_bits)
    except ValueError:
        raise InputError(f"Expected `weight_bits` to be in [2, 8], got {weight_bits}.") from None
    if group_size is not None and group_size < 2:
        raise InputError(f"Expected `group_size` to be at least 2, got {group_size}.")


def _check_observer(observer: str, percentile: float, averaging_constant: float) -> None:
    if observer not in OBSERVERS:
        known = ", ".join(OBSERVERS)
        raise InputError(f"Expected `observer` to be one of {known}, got {observer!r}.")
    if not 0 < percentile <= 100:
        raise InputError(f"Expected `percentile` to be in (0, 100], got {percentile}.")
    if not 0 < averaging_constant <= 1:
        raise InputError(
            f"Expected `averaging_constant` to be in (0, 1], got {averaging_constant}."
        )
