"""What every callback has to stand: the same tests for all of them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch import Tensor

from callbacks import Compression, RandomState
from callbacks.weight_masking import WeightMasking
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.callbacks.all_callbacks import BAD_ARGUMENTS, CASES, MASKING, QUANTIZING, Case
from tests.end_to_end.command import differences
from tests.tiny_fit import SaveAt, quiet_trainer, reviews_data

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
compressing_cases = pytest.mark.parametrize(
    "case",
    [case for case in CASES if isinstance(case.make(), Compression)],
    ids=lambda case: case.name,
)
masking_cases = pytest.mark.parametrize("case", MASKING, ids=lambda case: case.name)
ACCUMULATE = {"accumulate_grad_batches": 2, "max_epochs": 6}
TRAINERS = {
    "accumulation": ACCUMULATE,
    "clipping": {"gradient_clip_val": 0.1},
    "bf16": {"precision": "bf16-mixed"},
    "bf16 and clipping": {"precision": "bf16-mixed", "gradient_clip_val": 0.1},
}


class WeightsAt(Callback):
    """Keeps the weights before a step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.weights: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == self.step:
            self.weights = copy.deepcopy(dict(pl_module.state_dict()))


@pytest.fixture
def run(tiny_model: str, reviews: Path) -> Callable[..., Trainer]:
    """Fit 18 steps with a callback, dropout on."""

    def fit(*callbacks: Callback, resume: Path | None = None, **options: Any) -> Trainer:
        torch.manual_seed(1)
        model = TextClassifier(tiny_model, learning_rate=1e-3)
        trainer = quiet_trainer(*callbacks, RandomState(), **{"max_epochs": 3, **options})
        trainer.fit(model, datamodule=reviews_data(reviews), ckpt_path=resume)
        assert trainer.global_step == 18
        return trainer

    return fit


def encoder_linears(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: w for n, w in weights.items() if ".layer." in n and w.ndim == 2}


def zeros(weights: dict[str, Tensor]) -> float:
    tensors = list(weights.values())
    return sum(int((w == 0).sum()) for w in tensors) / sum(w.numel() for w in tensors)


@pytest.mark.parametrize(("kind", "arguments", "match"), BAD_ARGUMENTS)
def test_refuses(kind: Callable[..., object], arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        kind(**arguments)


@cases
@pytest.mark.parametrize("step", [2, 7, 12, 14])
def test_resumed_equals_uninterrupted(
    case: Case, step: int, run: Callable[..., Trainer], tmp_path: Path
) -> None:
    """Before pruning, between two changes, right before the last, and in recovery."""
    path = tmp_path / "saved.ckpt"
    whole = run(case.make(), SaveAt(path, step))
    resumed = run(case.make(), resume=path)
    assert _states_differ(whole, resumed) == []


@cases
def test_checkpoint_is_plain_and_opens_without_the_callback(
    case: Case, run: Callable[..., Trainer], tmp_path: Path
) -> None:
    path = tmp_path / "saved.ckpt"
    trainer = run(case.make(), SaveAt(path, 18))
    torch.load(path, weights_only=True)
    model = TextClassifier.load_from_checkpoint(path)
    text = ["the film was very good"]
    fitted: Any = trainer.lightning_module
    assert model.classify(text)[0]["scores"] == pytest.approx(
        fitted.classify(text)[0]["scores"], abs=1e-5
    )


@masking_cases
def test_sparsity_is_exact_and_nothing_else_is_zero(
    case: Case, run: Callable[..., Trainer]
) -> None:
    weights = dict(run(case.make()).lightning_module.state_dict())
    assert case.sparsity is not None
    assert zeros(encoder_linears(weights)) == pytest.approx(case.sparsity, abs=1e-4)
    names = set(encoder_linears(weights))
    others = {n: w for n, w in weights.items() if n not in names and "embeddings" not in n}
    assert all(torch.count_nonzero(w) > 0 for w in others.values())
    embeddings = {n: w for n, w in weights.items() if "word_embeddings" in n}
    assert zeros(embeddings) < 0.05  # the padding's row


@masking_cases
@pytest.mark.parametrize("options", TRAINERS.values(), ids=TRAINERS)
def test_sparsity_is_exact_however_it_is_trained(
    case: Case, options: dict[str, Any], run: Callable[..., Trainer]
) -> None:
    weights = dict(run(case.make(), **options).lightning_module.state_dict())
    assert zeros(encoder_linears(weights)) == pytest.approx(case.sparsity, abs=1e-4)


@cases
def test_names_in_the_state_dict_stay(case: Case, run: Callable[..., Trainer]) -> None:
    names, dense = (
        set(run(*callbacks).lightning_module.state_dict()) for callbacks in ((case.make(),), ())
    )
    gone = {name for name in dense if ".layer.1." in name} if "layers" in case.name else set()
    assert names == dense - gone


@pytest.mark.parametrize("case", [*MASKING, *QUANTIZING], ids=lambda case: case.name)
def test_before_its_start_it_does_nothing(case: Case, run: Callable[..., Trainer]) -> None:
    before, without = WeightsAt(3), WeightsAt(3)
    run(before, case.make())
    run(without)
    assert differences(before.weights, without.weights) == []


@masking_cases
def test_applied_twice_equals_once(case: Case, run: Callable[..., Trainer]) -> None:
    callback: Any = case.make()
    trainer = run(callback)
    once = copy.deepcopy(dict(trainer.lightning_module.state_dict()))
    callback._after_optimizer_step(trainer.optimizers[0], (), {})
    assert differences(once, dict(trainer.lightning_module.state_dict())) == []


@masking_cases
@pytest.mark.parametrize(
    "averaging",
    [lambda: EMAWeightAveraging(decay=0.9), lambda: StochasticWeightAveraging(1e-3, 1)],
    ids=["ema", "swa"],
)
def test_averaged_weights_are_as_sparse(
    case: Case, averaging: Callable[[], Callback], run: Callable[..., Trainer]
) -> None:
    model = run(averaging(), case.make()).lightning_module
    weights = dict(model.state_dict())
    assert case.sparsity is not None
    positions = model.network.base_model.embeddings.position_ids
    assert torch.equal(positions, torch.arange(positions.shape[1])[None])
    assert zeros(encoder_linears(weights)) == pytest.approx(case.sparsity, abs=1e-4)


@compressing_cases
def test_compression_says_when_it_is_complete(case: Case, run: Callable[..., Trainer]) -> None:
    callback: Any = case.make()
    run(callback)
    assert callback.is_complete


def _states_differ(a: Trainer, b: Trainer) -> list[str]:
    found = differences(*(dict(t.lightning_module.state_dict()) for t in (a, b)))
    optimizers = [copy.deepcopy(t.optimizers[0].state_dict()) for t in (a, b)]
    found += differences(*optimizers)
    records: list[Any] = [t.lightning_module.architecture for t in (a, b)]
    found += differences(*(record.as_plain() for record in records))
    masks = [
        {c.state_key: c.state_dict() for c in t.callbacks if isinstance(c, WeightMasking)}  # type: ignore[attr-defined]
        for t in (a, b)
    ]
    return found + differences(*masks)
