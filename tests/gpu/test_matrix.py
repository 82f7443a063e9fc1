"""Every callback on one GPU, in bfloat16 and compiled: `make test-gpu`.

`GLINT_TEST_DEVICE=cpu make test-gpu` runs the same on the CPU, as far as it can: the network is
traced by the compiler, and no kernels are made of it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from callbacks import Compression, FiniteLoss, RandomState, TrainingLog
from callbacks.weight_masking import WeightMasking
from lightning_app.checkpoint_io import AtomicCheckpointIO
from modules import TextClassifier
from tests.callbacks.all_callbacks import CASES, Case
from tests.tiny_fit import SaveAt, quiet_trainer, reviews_data

DEVICE = os.environ.get("GLINT_TEST_DEVICE", "cuda")
SAVED_AT = 7

pytestmark = [
    pytest.mark.skipif(
        DEVICE == "cuda" and not torch.cuda.is_available(),
        reason="no CUDA device; GLINT_TEST_DEVICE=cpu runs it on the CPU as far as it goes",
    ),
    # The compiler makes an instance of each `autograd.Function` that it traces, and is told off.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    # It looks at the gradients of all tensors, and hides torch's warning in vain from pytest.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]


class Losses(Callback):
    """Keeps them, on the device."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any
    ) -> None:
        assert outputs["loss"].device.type == DEVICE
        self.seen.append(outputs["loss"].detach().clone())


@pytest.fixture(autouse=True)
def _fresh_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if DEVICE == "cpu":
        compile = nn.Module.compile
        monkeypatch.setattr(
            nn.Module, "compile", lambda self, **options: compile(self, backend="eager", **options)
        )
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def fit(
    case: Case, tiny_model: str, reviews: Path, *more: Callback, resume: Path | None = None
) -> tuple[Trainer, Any]:
    """18 steps; without dropout, as kernels of a GPU draw it in no given order."""
    torch.manual_seed(1)
    callback: Any = case.make()
    trainer = quiet_trainer(
        *(callback, FiniteLoss(), RandomState(), TrainingLog(), *more),
        accelerator="gpu" if DEVICE == "cuda" else "cpu",
        max_epochs=3,
        precision="bf16-mixed",
        plugins=[AtomicCheckpointIO()],
    )
    model = TextClassifier(
        tiny_model, 1e-3, hidden_dropout=0.0, attention_dropout=0.0, compile=True
    )
    data = reviews_data(reviews, pad_to_multiple_of=8)
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return trainer, callback


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_trains_compiled_resumes_and_opens_on_a_cpu(
    case: Case, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path, whole, again = tmp_path / "saved.ckpt", Losses(), Losses()
    trainer, callback = fit(case, tiny_model, reviews, whole, SaveAt(path, SAVED_AT))
    resumed, restored = fit(case, tiny_model, reviews, again, resume=path)

    assert len(whole.seen) == 18
    losses, rest = ([float(loss) for loss in seen.seen] for seen in (whole, again))
    assert rest == pytest.approx(losses[SAVED_AT:], abs=0.05)  # bfloat16's rounding, some steps on
    assert not isinstance(callback, Compression) or (callback.is_complete and restored.is_complete)
    _check_masks(case, trainer, callback)

    opened = TextClassifier.load_from_checkpoint(path)
    assert {weight.device.type for weight in opened.state_dict().values()} == {"cpu"}
    final, other = (_scores(t) for t in (trainer, resumed))
    assert final == pytest.approx(other, abs=0.05)


def _check_masks(case: Case, trainer: Trainer, callback: Any) -> None:
    """Exactly as many zeros as asked for, wherever the weights are."""
    if not isinstance(callback, WeightMasking) or case.sparsity is None:
        return
    weights = dict(trainer.lightning_module.named_parameters())
    zeros = sum(int((weights[name] == 0).sum()) for name in callback.masks)
    total = sum(mask.numel() for mask in callback.masks.values())
    assert zeros / total == pytest.approx(case.sparsity, abs=1e-4)


def _scores(trainer: Trainer) -> dict[str, float]:
    model: Any = trainer.lightning_module
    scores: dict[str, float] = model.classify(["the film was very good"])[0]["scores"]
    return scores
