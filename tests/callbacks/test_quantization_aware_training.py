"""What is this callback's own; what all callbacks have to stand is in test_matrix.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, nn

from callbacks import (
    Distillation,
    MagnitudePruning,
    QuantizationAwareTraining,
    RunCheckpoint,
    SparsitySchedule,
    StructuredPruning,
)
from lightning_app.errors import InputError
from lightning_app.functional.quantization import dequantize_weight
from modules import TextClassifier
from modules.fake_quantization import (
    FakeQuantizedLinear,
    apply_quantization,
    fake_quantized_modules,
    quantized_weight,
)
from modules.student_structure import StudentStructure
from tests.tiny_fit import fit, quiet_trainer, reviews_data

LINEAR = "bert.encoder.layer.0.intermediate.dense"
STATIC: dict[str, Any] = {"scheme": "static", "unit": "steps", "freeze": 4}
LAYER = ("attention.self.query", "attention.self.key", "attention.self.value")
LAYER += ("attention.output.dense", "intermediate.dense", "output.dense")
EMBEDDINGS = ("word", "position", "token_type")


class Inputs(Callback):
    """Ranges of a linear layer's inputs in training, by batch, as a hook of its own sees them,
    without padding."""

    def __init__(self) -> None:
        self.ranges: list[tuple[float, float]] = []
        self.by_step: list[Any] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = pl_module.network.get_submodule(LINEAR)  # type: ignore[union-attr, operator]
        module.register_forward_pre_hook(self.see)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, *_: Any) -> None:
        self.real = batch["attention_mask"].bool()

    def see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            low, high = inputs[0].detach()[self.real].aminmax()
            self.ranges.append((float(low), float(high)))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        modules = pl_module.architecture.quantization.modules  # type: ignore[union-attr]
        self.by_step.append(modules[LINEAR].activation_range)  # type: ignore[index]


class SaveAfterValidation(Callback):
    """Keeps the loss and the checkpoint of the validation after an optimizer step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path
        self.loss = torch.tensor(0.0)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == self.step:
            self.loss = trainer.callback_metrics["val/loss"]
            trainer.save_checkpoint(self.path)


def fitted(trainer: Trainer) -> TextClassifier:
    model = trainer.lightning_module
    assert isinstance(model, TextClassifier)
    return model


def quantized(model: TextClassifier) -> dict[str, Any]:
    assert model.architecture is not None
    assert model.architecture.quantization is not None
    return dict(model.architecture.quantization.modules)


def test_encoder_and_embeddings_are_quantized_and_nothing_else(
    tiny_model: str, reviews: Path
) -> None:
    model = fitted(fit(tiny_model, reviews, QuantizationAwareTraining(weight_bits=7)))
    linears = {f"bert.encoder.layer.{i}.{name}" for i in range(2) for name in LAYER}
    tables = {f"bert.embeddings.{name}_embeddings" for name in EMBEDDINGS}
    found = quantized(model)
    assert set(found) == linears | tables == set(fake_quantized_modules(model.network))  # type: ignore[arg-type]
    assert {(found[n].scheme, found[n].weight_bits) for n in linears} == {("dynamic", 7)}
    assert {(found[n].scheme, found[n].weight_bits) for n in tables} == {("weight_only", 8)}


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}], ids=["plain", "halves"])
def test_ranges_are_the_mean_over_the_batches_between_start_and_freeze(
    options: dict[str, Any], tiny_model: str, reviews: Path
) -> None:
    witness = Inputs()
    callback = QuantizationAwareTraining("static", freeze=2, unit="steps")
    model = fitted(fit(tiny_model, reviews, callback, witness, **options))
    seen = torch.tensor(witness.ranges[: 4 if options else 2], dtype=torch.float64)
    assert len(witness.ranges) == 6
    assert quantized(model)[LINEAR].activation_range == pytest.approx(seen.mean(0).tolist())
    assert callback.observers.num_batches == len(seen)
    frozen = witness.by_step[len(seen) :]
    assert set(frozen) == {witness.by_step[len(seen) - 1]}
    assert len(set(witness.by_step)) == len(seen)
    network: Any = model.network
    linear = network.get_submodule(LINEAR)
    assert (linear.observer, linear.observed) == (None, None)


def test_a_percentile_is_narrower(tiny_model: str, reviews: Path) -> None:
    bounds = []
    for observer in ("min_max", "percentile"):
        callback = QuantizationAwareTraining(**STATIC, observer=observer, percentile=90)  # type: ignore[arg-type]
        torch.manual_seed(1)
        model = fitted(fit(tiny_model, reviews, callback))
        bounds.append(quantized(model)[LINEAR].activation_range)
    assert bounds[0][0] < bounds[1][0] < 0 < bounds[1][1] < bounds[0][1]


def test_ranges_do_not_move_in_validation(tiny_model: str, reviews: Path) -> None:
    found = []
    for limit in (0, 1.0):
        torch.manual_seed(1)
        callback = QuantizationAwareTraining(**STATIC)
        trainer = fit(tiny_model, reviews, callback, limit_val_batches=limit, val_check_interval=1)
        found.append(quantized(fitted(trainer)))
        trainer.validate(fitted(trainer), reviews_data(reviews), verbose=False)
        assert quantized(fitted(trainer)) == found[-1]
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
@pytest.mark.parametrize("scheme", ["dynamic", "static", "weight_only"])
@pytest.mark.parametrize("step", [2, 6])
def test_a_checkpoint_is_validated_as_it_was_in_the_fit(
    scheme: Any, step: int, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    """In the middle of calibration, and after it; without the callback, by Lightning and alone."""
    freeze = {"freeze": 4} if scheme == "static" else {}
    callback = QuantizationAwareTraining(scheme, unit="steps", weight_bits=4, **freeze)
    saved = SaveAfterValidation(step, tmp_path / "saved.ckpt")
    fit(tiny_model, reviews, callback, saved, val_check_interval=2)
    bare, model = quiet_trainer(), TextClassifier(tiny_model)
    bare.validate(model, reviews_data(reviews), ckpt_path=saved.path, verbose=False)
    assert torch.equal(bare.callback_metrics["val/loss"], saved.loss)
    opened = TextClassifier.load_from_checkpoint(saved.path)
    bare.validate(opened, reviews_data(reviews), verbose=False)
    assert torch.equal(bare.callback_metrics["val/loss"], saved.loss)
    assert opened.network is not None
    apply_quantization(opened.network, None)
    bare.validate(opened, reviews_data(reviews), verbose=False)
    assert not torch.equal(bare.callback_metrics["val/loss"], saved.loss)


def test_the_best_is_chosen_when_ranges_are_fixed(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    trainer = fit(
        tiny_model,
        reviews,
        QuantizationAwareTraining("static", freeze=8, unit="steps"),
        RunCheckpoint(),
        max_epochs=2,
        val_check_interval=2,
        enable_checkpointing=True,
        default_root_dir=tmp_path,
    )
    checkpoint: Any = trainer.checkpoint_callback
    best = torch.load(checkpoint.best_model_path, weights_only=True)
    assert best["global_step"] > 8
    ranges = best["architecture"]["quantization"]["modules"][LINEAR]["activation_range"]
    assert tuple(ranges) == quantized(fitted(trainer))[LINEAR].activation_range


def test_pruned_weights_stay_zero_as_integers(tiny_model: str, reviews: Path) -> None:
    pruning = MagnitudePruning(0.5, schedule=SparsitySchedule(shape="one_shot"))
    callback = QuantizationAwareTraining("weight_only", weight_bits=4, group_size=8)
    model = fitted(fit(tiny_model, reviews, callback, pruning))
    for name, mask in pruning.masks.items():
        module: Any = model.get_submodule(name.removesuffix(".weight"))
        assert isinstance(module, FakeQuantizedLinear)
        assert 0.2 < mask.float().mean() < 0.8
        assert torch.count_nonzero(module.weight[~mask]) == 0
        integers, scales = quantized_weight(module)
        assert torch.count_nonzero(integers[~mask]) == 0
        assert torch.count_nonzero(dequantize_weight(integers, scales, 8)[~mask]) == 0


@pytest.mark.parametrize("first", [True, False])
def test_the_model_itself_teaches_unrounded(first: bool, tiny_model: str, reviews: Path) -> None:
    qat, teaching = QuantizationAwareTraining(), Distillation("self", hidden_states=1.0)
    networks: list[Any] = []

    class Look(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            assert teaching._loaded is not None
            networks.append(teaching._loaded.network)

    callbacks = (qat, teaching) if first else (teaching, qat)
    model = fitted(fit(tiny_model, reviews, *callbacks, Look()))
    assert len(quantized(model)) == 15
    assert fake_quantized_modules(networks[0]) == {}


@pytest.mark.parametrize("schedule", [None, SparsitySchedule(end=3, unit="steps", every_n_steps=1)])
@pytest.mark.parametrize("first", [True, False])
def test_pruned_structure_is_quantized(
    first: bool, schedule: SparsitySchedule | None, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    pruning = StructuredPruning(heads=0.5, neurons=0.5, num_samples=16, schedule=schedule)
    qat = QuantizationAwareTraining(**STATIC)
    trainer = fit(tiny_model, reviews, *((qat, pruning) if first else (pruning, qat)))
    model = fitted(trainer)
    assert len(quantized(model)) == 15
    network: Any = model.network
    assert network.get_submodule(LINEAR).weight.shape[0] < 48
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    opened = TextClassifier.load_from_checkpoint(tmp_path / "saved.ckpt")
    assert quantized(opened) == quantized(model)
    text = ["the film was very good"]
    assert opened.classify(text) == model.classify(text)


def test_dropped_layers_are_not_in_the_record(tiny_model: str, reviews: Path) -> None:
    callbacks = (QuantizationAwareTraining(), StructuredPruning(keep_layers=1))
    model = fitted(fit(tiny_model, reviews, *callbacks))
    assert {n.split(".")[3] for n in quantized(model) if ".layer." in n} == {"0"}


def test_a_fit_goes_on_from_a_quantized_checkpoint(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path = tmp_path / "saved.ckpt"
    first = fit(tiny_model, reviews, QuantizationAwareTraining(**STATIC))
    first.save_checkpoint(path)
    goes_on = fitted(fit(tiny_model, reviews, model=TextClassifier(str(path))))
    assert quantized(goes_on) == quantized(fitted(first))
    anew = QuantizationAwareTraining("weight_only", weight_bits=4)
    other = fitted(fit(tiny_model, reviews, anew, model=TextClassifier(str(path))))
    assert quantized(other)[LINEAR].weight_bits == 4
    for weights in ("teacher", "fresh"):
        structure = StudentStructure(num_layers=1, weights=weights)  # type: ignore[arg-type]
        student = TextClassifier(str(path), structure=structure)
        fit(tiny_model, reviews, model=student)
        assert student.architecture is not None
        assert student.architecture.quantization is None
        assert fake_quantized_modules(student.network) == {}  # type: ignore[arg-type]


def test_two_quantize_different_modules_in_different_ways(tiny_model: str, reviews: Path) -> None:
    ffn = QuantizationAwareTraining(
        "weight_only", 0.5, weight_bits=4, include=["*.layer.1.output*"]
    )
    attention = QuantizationAwareTraining(**STATIC, include=["*.attention.*"], exclude=["*.key"])
    found = quantized(fitted(fit(tiny_model, reviews, ffn, attention)))
    assert found["bert.encoder.layer.1.output.dense"].scheme == "weight_only"
    query, key = (f"bert.encoder.layer.0.attention.self.{name}" for name in ("query", "key"))
    assert found[query].scheme == "static"
    assert found[query].activation_range is not None
    assert key not in found
    assert len(found) == 1 + 6
    match = "different modules, but bert.encoder.layer.1.output.dense is of two"
    with pytest.raises(InputError, match=match):
        fit(tiny_model, reviews, ffn, QuantizationAwareTraining())


def test_bfloat16_and_averaged_weights(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    path = tmp_path / "saved.ckpt"
    # With buffers it would average the position ids, too, which are integers.
    averaging = EMAWeightAveraging(use_buffers=False, decay=0.9)
    qat = QuantizationAwareTraining(**STATIC)
    trainer = fit(tiny_model, reviews, averaging, qat, precision="bf16-mixed")
    trainer.save_checkpoint(path)
    model = fitted(trainer)
    assert all(torch.isfinite(w).all() for w in model.state_dict().values())
    bounds = quantized(model)[LINEAR].activation_range
    assert bounds[0] < 0 < bounds[1]
    averaged: Any = averaging._average_model
    assert set(averaged.module.state_dict()) == set(model.state_dict())
    opened = TextClassifier.load_from_checkpoint(path)
    text = ["the film was very good"]
    assert opened.classify(text) == model.classify(text)


def test_refuses_what_matches_nothing(tiny_model: str, reviews: Path) -> None:
    for argument in ("include", "exclude"):
        callback: Any = QuantizationAwareTraining(**{argument: ["*.conv"]})
        match = f"`{argument}` to match .* '\\*.conv' matches none of network.bert.embeddings.word"
        with pytest.raises(InputError, match=match):
            fit(tiny_model, reviews, callback)
    both = QuantizationAwareTraining(include=["classifier"], exclude=["classifier"])
    with pytest.raises(InputError, match="something to quantize, but `exclude`"):
        fit(tiny_model, reviews, both)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": 6, "unit": "steps"}, "go on after `start`, but 6 steps is step 6 of 6; .* 5"),
        ({**STATIC, "freeze": 7}, "go on after `freeze`, but 7 steps is step 7 of 6"),
        (
            {"scheme": "static", "start": 0.1, "freeze": 0.2},
            "between `start` and `freeze`.*0.1 and 0.2 fraction are both step 1 of 6",
        ),
    ],
)
def test_refuses_a_schedule_that_the_run_has_no_room_for(
    options: dict[str, Any], match: str, tiny_model: str, reviews: Path
) -> None:
    with pytest.raises(InputError, match=match):
        fit(tiny_model, reviews, QuantizationAwareTraining(**options))


def test_refuses_a_layer_that_saw_nothing(tiny_model: str, reviews: Path) -> None:
    class Idle(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            pl_module.network.bert.pooler.dense.observer = None

    callback = QuantizationAwareTraining(**STATIC, include=["pooler.dense", "query"])
    with pytest.raises(InputError, match=r"but bert.pooler.dense saw no batch; .* `exclude`"):
        fit(tiny_model, reviews, callback, Idle())


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
@pytest.mark.parametrize("other", [{"weight_bits": 7}, {"exclude": ["*.key"]}])
def test_refuses_to_resume_as_another(
    other: dict[str, Any], tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path = tmp_path / "saved.ckpt"
    fit(tiny_model, reviews, QuantizationAwareTraining()).save_checkpoint(path)
    trainer = quiet_trainer(QuantizationAwareTraining(**other), max_epochs=2)
    with pytest.raises(InputError, match="as it is configured, but it was quantized by Quant"):
        trainer.fit(TextClassifier(tiny_model), reviews_data(reviews), ckpt_path=path)


def test_a_schedule_in_epochs_and_fractions(tiny_model: str, reviews: Path) -> None:
    steps = []
    make: Callable[..., QuantizationAwareTraining] = QuantizationAwareTraining
    for callback in (
        make("static", 1, 2, "epochs"),
        make("static", 0.5),
        make("static", 0.25, 0.5),
        make(start=0.5),
    ):
        fit(tiny_model, reviews, callback, max_epochs=3)
        steps.append(callback._steps)
        assert callback.is_complete
    assert steps == [(6, 12), (9, 14), (4, 9), (9, 9)]
