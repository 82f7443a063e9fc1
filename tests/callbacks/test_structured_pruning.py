from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import RunCheckpoint, SparsitySchedule, StructuredPruning
from callbacks.structured_pruning import kept_layers
from lightning_app.errors import InputError
from modules import TextClassifier
from modules.structure import encoder_flops, encoder_parameters, layer_shapes
from tests.tiny_fit import fit, quiet_trainer, reviews_data

STEPS = SparsitySchedule(shape="linear", start=2, end=12, unit="steps", every_n_steps=5)
TEXTS = ["the film was very good", "the dog ate the old house"]


def model_of(trainer: Trainer) -> TextClassifier:
    model: Any = trainer.lightning_module
    return model


def shapes_of(model: TextClassifier) -> list[tuple[int, int]]:
    assert model.network is not None
    return [(len(s.heads), s.intermediate_size) for s in layer_shapes(model.network)]


def scores(model: TextClassifier) -> torch.Tensor:
    return torch.tensor([list(answer["scores"].values()) for answer in model.classify(TEXTS)])


def test_shares_are_met_and_every_parameter_is_trained(tiny_model: str, reviews: Path) -> None:
    without: set[str] = set()

    class Gradients(Callback):
        def on_before_optimizer_step(
            self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
        ) -> None:
            without.update(n for n, p in pl_module.named_parameters() if p.grad is None)

    callback = StructuredPruning(heads=0.5, neurons=0.25, num_samples=8)
    trainer = fit(tiny_model, reviews, callback, Gradients())
    model = model_of(trainer)
    assert shapes_of(model) == [(1, 36), (1, 36)]
    in_optimizer = {id(p) for g in trainer.optimizers[0].param_groups for p in g["params"]}
    assert {id(p) for p in model.parameters()} == in_optimizer
    assert without == set()


@pytest.mark.parametrize("kind", ["parameters", "flops"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_budgets_are_met_to_one_neuron(
    kind: str, share: float, tiny_model: str, reviews: Path
) -> None:
    def cost(model: TextClassifier) -> int:
        assert model.network is not None
        shapes = layer_shapes(model.network)
        if kind == "parameters":
            return encoder_parameters(shapes, 32, 16)
        return encoder_flops(shapes, 32, 16, seq_length=20)

    dense = cost(model_of(fit(tiny_model, reviews, max_steps=1, max_epochs=-1)))
    options: dict[str, Any] = {kind: share, "num_samples": 8, "sequence_length": 20}
    pruned = fit(tiny_model, reviews, StructuredPruning(**options), max_steps=1, max_epochs=-1)
    neuron = 65 if kind == "parameters" else 2 * 2 * 20 * 32
    left = dense * (1 - share)
    assert left - neuron < cost(model_of(pruned)) <= left


def test_gates_become_structure_at_the_end_with_the_same_logits(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    class BeforeRemoval(StructuredPruning):
        def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
            seen["gated"] = scores(pl_module)
            seen["shapes"] = shapes_of(pl_module)
            super().on_fit_end(trainer, pl_module)

    checkpoint = RunCheckpoint()
    checkpoint.dirpath = str(tmp_path)
    callback = BeforeRemoval(heads=0.5, neurons=0.5, schedule=STEPS)
    trainer = fit(
        tiny_model, reviews, callback, checkpoint, max_epochs=3, enable_checkpointing=True
    )
    assert seen["shapes"] == [(2, 48), (2, 48)]
    model = model_of(trainer)
    assert shapes_of(model) == [(1, 24), (1, 24)]
    torch.testing.assert_close(scores(model), seen["gated"], atol=1e-5, rtol=0)

    best = TextClassifier.load_from_checkpoint(tmp_path / "best.ckpt")
    assert shapes_of(best) == [(1, 24), (1, 24)]
    last = TextClassifier.load_from_checkpoint(tmp_path / "last.ckpt")
    assert shapes_of(last) == [(2, 48), (2, 48)]
    torch.testing.assert_close(scores(last), scores(model), atol=1e-5, rtol=0)
    sizes = [(tmp_path / name).stat() for name in ("best.ckpt", "last.ckpt")]
    assert sizes[0].st_size < sizes[1].st_size / 2
    assert sizes[0].st_mtime_ns < sizes[1].st_mtime_ns  # the newest is the one to resume


def test_what_is_removed_cannot_be_resumed(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    checkpoint = RunCheckpoint()
    checkpoint.dirpath = str(tmp_path)
    callback = StructuredPruning(neurons=0.5, schedule=STEPS)
    fit(tiny_model, reviews, callback, checkpoint, max_epochs=3, enable_checkpointing=True)
    trainer = quiet_trainer(StructuredPruning(neurons=0.5, schedule=STEPS), max_epochs=4)
    with pytest.raises(InputError, match=r"resume from `last.ckpt`, or start"):
        trainer.fit(
            TextClassifier(tiny_model),
            datamodule=reviews_data(reviews),
            ckpt_path=tmp_path / "best.ckpt",
        )


def test_a_dense_checkpoint_is_not_resumed_with_pruning(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    trainer = fit(tiny_model, reviews, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "dense.ckpt")
    pruning = quiet_trainer(StructuredPruning(heads=0.5, num_samples=8), max_epochs=2)
    with pytest.raises(InputError, match=r"its network is not pruned.*--model.model_name_or_path"):
        pruning.fit(
            TextClassifier(tiny_model),
            datamodule=reviews_data(reviews),
            ckpt_path=tmp_path / "dense.ckpt",
        )


def test_a_pruned_model_can_be_pruned_again(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    trainer = fit(tiny_model, reviews, StructuredPruning(neurons=0.5, num_samples=8))
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    start = TextClassifier(str(tmp_path / "half.ckpt"), learning_rate=1e-3)
    callback = StructuredPruning(neurons=0.5, num_samples=8)
    quarter = fit(tiny_model, reviews, callback, model=start)
    assert shapes_of(model_of(quarter)) == [(2, 12), (2, 12)]


def test_the_uniform_layout_opens_in_plain_transformers(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    callback = StructuredPruning(neurons=0.5, keep_layers=1, layout="hf_uniform", num_samples=8)
    model = model_of(fit(tiny_model, reviews, callback)).eval()
    assert model.network is not None
    assert model.architecture is not None
    assert model.architecture.layout == "hf_uniform"
    model.network.save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = {"input_ids": torch.tensor([[2, 7, 9, 3]])}
    with torch.no_grad():
        torch.testing.assert_close(plain(**inputs).logits, model(**inputs).logits)


def test_fewer_than_one_head_is_refused(tiny_model: str, reviews: Path) -> None:
    with pytest.raises(InputError, match=r"`heads` to leave at least one of the 2.*at most 0.5"):
        fit(tiny_model, reviews, StructuredPruning(heads=0.8, num_samples=8))


@pytest.mark.parametrize(
    ("wanted", "kept"), [(3, [1, 3, 5]), (4, [1, 2, 3, 5]), (1, [5]), ([0, 2], [0, 2])]
)
def test_layers_that_stay(wanted: int | list[int], kept: list[int]) -> None:
    assert kept_layers(wanted, 6) == kept


@pytest.mark.parametrize("wanted", [0, 6, [], [2, 1], [6], [1, 1]])
def test_layers_that_there_are_not(wanted: int | list[int]) -> None:
    with pytest.raises(InputError, match=r"`keep_layers` to be"):
        kept_layers(wanted, 6)


def test_two_callbacks_both_prune(tiny_model: str, reviews: Path) -> None:
    callbacks = (StructuredPruning(heads=0.5, num_samples=8), StructuredPruning(keep_layers=1))
    assert shapes_of(model_of(fit(tiny_model, reviews, *callbacks))) == [(1, 48)]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")  # the other's state
def test_a_checkpoint_of_another_target_is_not_resumed(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    trainer = fit(tiny_model, reviews, StructuredPruning(heads=0.5, num_samples=8))
    trainer.save_checkpoint(tmp_path / "heads.ckpt")
    other = quiet_trainer(StructuredPruning(neurons=0.5, num_samples=8), max_epochs=2)
    with pytest.raises(InputError, match=r"its network is not pruned so"):
        other.fit(
            TextClassifier(tiny_model),
            datamodule=reviews_data(reviews),
            ckpt_path=tmp_path / "heads.ckpt",
        )
