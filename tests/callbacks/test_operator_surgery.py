from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from callbacks import OperatorSurgery, RandomState, StructuredPruning
from lightning_app.errors import InputError
from modules import TextClassifier
from modules.families import layer_parts
from modules.operators import AffineNorm, AnnealedActivation, NormConstants, Operators
from tests.callbacks.all_callbacks import ANNEALED
from tests.end_to_end.command import differences, glint, tiny_fit
from tests.tiny_fit import SaveAt, fit, quiet_trainer, reviews_data

BOTH: dict[str, Any] = {"affine_norm": True, "num_samples": 16, **ANNEALED}
INPUTS = {
    "input_ids": torch.arange(5, 29).view(3, 8),
    "attention_mask": torch.tensor([[1] * 8, [1] * 5 + [0] * 3, [1] * 8]),
}


class Shares(Callback):
    """What the network computes with, at each batch; after the callback that changes it."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Any, ...]] = {}
        self.logits: dict[int, Tensor] = {}

    def on_before_zero_grad(self, trainer: Trainer, model: LightningModule, _: Any) -> None:
        assert isinstance(model, TextClassifier)
        assert model.network is not None
        first = layer_parts(model.network)[0]
        activation, norm = first.activation, first.norms[0]
        self.seen[trainer.global_step] = (
            activation.share if isinstance(activation, AnnealedActivation) else type(activation),
            norm.share if isinstance(norm, AffineNorm) else type(norm),
        )

    def on_train_batch_end(self, trainer: Trainer, model: LightningModule, *_: Any) -> None:
        self.logits[trainer.global_step] = logits_of(model)


@torch.no_grad()
def logits_of(model: Any) -> Tensor:
    was_training = model.training
    logits: Tensor = model.eval()(**INPUTS).logits
    model.train(was_training)
    return logits


def surgery(tiny_model: str, reviews: Path, *callbacks: Callback, **options: Any) -> Trainer:
    """18 steps."""
    return fit(tiny_model, reviews, *callbacks, **{"max_epochs": 3, **options})


def model_of(trainer: Trainer) -> Any:
    return trainer.lightning_module


def test_share_rises_with_the_optimizer_steps(tiny_model: str, reviews: Path) -> None:
    shares = Shares()
    callback = OperatorSurgery(**BOTH)
    options = {"max_epochs": 6, "accumulate_grad_batches": 2}
    surgery(tiny_model, reviews, callback, shares, **options)
    rising = [0, 0, 0, 0, *(step / 9 for step in range(1, 9))]
    assert [shares.seen[step][1] for step in range(18)] == pytest.approx([*rising, *[1] * 6])
    assert [shares.seen[step][0] for step in range(12)] == pytest.approx(rising)
    assert {shares.seen[step][0] for step in range(12, 18)} == {torch.nn.ReLU}
    assert (callback.is_complete, callback.metrics()) == (True, {"operator_share": 1.0})


def test_units_are_those_of_all_schedules(tiny_model: str, reviews: Path) -> None:
    for arguments, span in (
        ({}, (0, 12)),  # two thirds of 18
        ({"start": 0.5, "end": 0.75}, (9, 14)),
        ({"start": 1, "end": 1.5, "unit": "epochs"}, (6, 9)),
        ({"start": 4, "end": 4, "unit": "steps"}, (4, 4)),
    ):
        callback, shares = OperatorSurgery(**arguments), Shares()  # type: ignore[arg-type]
        surgery(tiny_model, reviews, callback, shares)
        assert callback._steps is not None
        assert (callback._steps.start, callback._steps.end) == span
        assert shares.seen[span[1] - 1][0] != torch.nn.ReLU
        assert shares.seen[span[1]][0] is torch.nn.ReLU


def test_before_its_start_it_does_nothing(tiny_model: str, reviews: Path) -> None:
    logits = []
    for callbacks in ([], [OperatorSurgery(**BOTH)]):
        torch.manual_seed(1)
        shares = Shares()
        surgery(tiny_model, reviews, *callbacks, shares)
        logits.append(shares.logits)
    assert all(torch.equal(logits[0][step], logits[1][step]) for step in range(1, 4))
    assert not torch.equal(logits[0][5], logits[1][5])


@pytest.mark.parametrize("step", [2, 3, 4, 8, 12, 13])
def test_checkpoint_of_any_phase_computes_the_same_and_resumes(
    step: int, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    """Before, right before and after the start, within, right before the end, in recovery."""
    path, shares = tmp_path / "saved.ckpt", Shares()
    whole = surgery(
        tiny_model, reviews, OperatorSurgery(**BOTH), shares, SaveAt(path, step), RandomState()
    )
    opened = TextClassifier.load_from_checkpoint(path)
    assert torch.equal(logits_of(opened), shares.logits[step])
    assert opened.architecture is not None
    assert opened.architecture.layout == "free"
    assert opened.network is not None
    assert opened.network.config.hidden_act == ("relu" if step == 13 else "gelu")

    callback = OperatorSurgery(**BOTH)
    resumed = quiet_trainer(callback, RandomState(), max_epochs=3)
    model = TextClassifier(tiny_model, learning_rate=1e-3)
    resumed.fit(model, datamodule=reviews_data(reviews), ckpt_path=path)
    assert differences(dict(model.state_dict()), dict(model_of(whole).state_dict())) == []
    assert model.architecture == model_of(whole).architecture
    assert callback.is_complete


def test_record_of_a_finished_run(tiny_model: str, reviews: Path) -> None:
    model = model_of(surgery(tiny_model, reviews, OperatorSurgery(**BOTH)))
    record = model.architecture
    assert record.config["hidden_act"] == "relu"
    assert (record.operators.relu, record.operators.affine_norm) == (None, 1.0)
    assert [len(layer) for layer in record.operators.constants] == [2, 2]
    assert record.history == [
        {"operation": "load", "from": tiny_model},
        {"operation": "operator_surgery", "relu": True, "affine_norm": True},
    ]


def test_relu_alone_opens_in_plain_transformers(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    model = model_of(surgery(tiny_model, reviews, OperatorSurgery(**ANNEALED)))
    assert (model.architecture.layout, model.architecture.operators) == ("hf_uniform", None)
    assert model.architecture.as_plain()["version"] == 1
    model.network.save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(layer_parts(plain)[0].activation) is torch.nn.ReLU
    torch.testing.assert_close(logits_of(plain), logits_of(model), rtol=1e-5, atol=1e-6)


def test_constants_are_of_the_weights_at_the_start(tiny_model: str, reviews: Path) -> None:
    """The first norm's, by hand: from the weights before the step, over all 24 rows."""
    taken: list[NormConstants] = []

    class Reference(Callback):
        def on_train_batch_start(self, trainer: Trainer, model: Any, *_: Any) -> None:
            if trainer.global_step == 3:
                taken.append(least_squares(model, trainer.datamodule))  # type: ignore[attr-defined]

    arguments = {**BOTH, "num_samples": 24}
    trainer = surgery(tiny_model, reviews, Reference(), OperatorSurgery(**arguments))
    measured = model_of(trainer).architecture.operators.constants[0][0]
    assert measured.gain == pytest.approx(taken[0].gain, rel=1e-4)
    assert measured.offset == pytest.approx(taken[0].offset, abs=1e-4)


@torch.no_grad()
def least_squares(model: Any, data: Any) -> NormConstants:
    norm, tokens = layer_parts(model.network)[0].norms[0], []
    handle = norm.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
    masks = []
    model.eval()
    for batch in data.calibration_loader(24, 24, 0):
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        masks.append(batch["attention_mask"].bool())
    model.train()
    handle.remove()
    x = torch.cat([t[m] for t, m in zip(tokens, masks, strict=True)]).double()
    z = F.layer_norm(x, x.shape[-1:], eps=norm.eps)
    design = torch.stack([x, torch.ones_like(x)], -1).transpose(0, 1)  # [hidden, tokens, 2]
    lines = torch.linalg.lstsq(design, z.T[..., None]).solution[..., 0]
    return NormConstants(tuple(lines[:, 0].tolist()), tuple(lines[:, 1].tolist()))


class ReadsHiddenStates(Callback):
    """A term for which the last layer computes all tokens, from the first training step on."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TextClassifier)
        pl_module.objective.add(
            "size",
            lambda _, out: out.hidden_states[-1].square().mean() * 1e-3,
            output_hidden_states=True,
        )


def test_constants_see_what_terms_read_also_after_a_resume(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path = tmp_path / "saved.ckpt"
    callbacks = OperatorSurgery(**BOTH), ReadsHiddenStates(), SaveAt(path, 3), RandomState()
    whole = model_of(surgery(tiny_model, reviews, *callbacks))
    resumed = quiet_trainer(
        OperatorSurgery(**BOTH), ReadsHiddenStates(), RandomState(), max_epochs=3
    )
    model = TextClassifier(tiny_model, learning_rate=1e-3)
    resumed.fit(model, datamodule=reviews_data(reviews), ckpt_path=path)
    assert model.architecture == whole.architecture


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    "averaging",
    [lambda: EMAWeightAveraging(decay=0.9), lambda: StochasticWeightAveraging(1e-3, 1)],
    ids=["ema", "swa"],
)
def test_averaged_weights_are_used_with_the_present_operators(
    averaging: Any, first: bool, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    """Averaging callbacks put their weights into the module that is trained, never run a copy."""
    saved, last = tmp_path / "saved.ckpt", tmp_path / "last.ckpt"
    others = OperatorSurgery(**BOTH), SaveAt(saved, 8)
    order = (averaging(), *others) if first else (*others, averaging())
    trainer = surgery(tiny_model, reviews, *order)
    trainer.save_checkpoint(last)
    model = model_of(trainer)
    opened = TextClassifier.load_from_checkpoint(last)
    assert opened.architecture == model.architecture
    within = TextClassifier.load_from_checkpoint(saved)
    assert within.architecture is not None
    assert within.architecture.operators is not None
    assert within.architecture.operators.relu == pytest.approx(4 / 9)
    order = (
        (averaging(), OperatorSurgery(**BOTH)) if first else (OperatorSurgery(**BOTH), averaging())
    )
    again = quiet_trainer(*order, max_epochs=3)
    again_model = TextClassifier(tiny_model, learning_rate=1e-3)
    again.fit(again_model, datamodule=reviews_data(reviews), ckpt_path=saved)
    assert again_model.architecture == model.architecture


def test_two_of_them_each_in_its_own_time(tiny_model: str, reviews: Path) -> None:
    shares = Shares()
    callbacks = (
        OperatorSurgery(start=2, end=6, unit="steps"),
        OperatorSurgery(relu=False, affine_norm=True, start=4, end=12, unit="steps", num_samples=8),
    )
    model = model_of(surgery(tiny_model, reviews, *callbacks, shares))
    assert shares.seen[5] == (0.75, 0.125)
    assert shares.seen[8] == (torch.nn.ReLU, 0.5)
    assert model.architecture.config["hidden_act"] == "relu"
    assert model.architecture.operators.affine_norm == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_with_structure_pruned_in_the_same_run(
    reverse: bool, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    pruning = StructuredPruning(neurons=0.5, keep_layers=[1], num_samples=8)
    callbacks = [OperatorSurgery(**BOTH), pruning]
    path = tmp_path / "saved.ckpt"
    trainer = surgery(tiny_model, reviews, *(callbacks[::-1] if reverse else callbacks))
    trainer.save_checkpoint(path)
    opened = TextClassifier.load_from_checkpoint(path)
    assert torch.equal(logits_of(opened), logits_of(model_of(trainer)))
    assert opened.architecture is not None
    assert opened.architecture.operators is not None
    assert opened.architecture.operators.constants is not None
    assert len(opened.architecture.operators.constants) == 1
    assert opened.architecture.config["intermediate_size"] == 24


def test_a_start_from_within_an_annealing_never_goes_back(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path, shares = tmp_path / "within.ckpt", Shares()
    surgery(tiny_model, reviews, OperatorSurgery(**BOTH), SaveAt(path, 8))
    kept = TextClassifier.load_from_checkpoint(path).architecture
    assert kept is not None
    assert kept.operators is not None
    model = TextClassifier(str(path), learning_rate=1e-3)
    callback = OperatorSurgery(affine_norm=True, start=0, end=9, unit="steps")
    fit(tiny_model, reviews, callback, shares, model=model, max_epochs=3)
    risen = [max(4 / 9, step / 9) for step in range(9)]
    assert [shares.seen[step] for step in range(9)] == [pytest.approx((s, s)) for s in risen]
    assert model.architecture is not None
    done = Operators(affine_norm=1.0, constants=kept.operators.constants)
    assert model.architecture.operators == done

    trainer = quiet_trainer()
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "done.ckpt")
    for arguments, match in (
        ({}, r"another activation than ReLU for `relu: true`, but its `hidden_act` is relu"),
        ({"relu": False, "affine_norm": True}, r"its norms are affine already"),
    ):
        model = TextClassifier(str(tmp_path / "done.ckpt"))
        with pytest.raises(InputError, match=match):
            fit(tiny_model, reviews, OperatorSurgery(**arguments), model=model)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_refuses_a_checkpoint_of_another_run(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    path = tmp_path / "saved.ckpt"
    surgery(tiny_model, reviews, OperatorSurgery(**ANNEALED), SaveAt(path, 8))
    model = TextClassifier(tiny_model)
    with pytest.raises(InputError, match=r"same `relu` \(True\) and `affine_norm` \(True\)"):
        quiet_trainer(OperatorSurgery(**BOTH), max_epochs=3).fit(
            model, datamodule=reviews_data(reviews), ckpt_path=path
        )


def test_refuses_what_does_not_fit(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    late = OperatorSurgery(start=3, end=18, unit="steps")
    match = r"Expected the old operators to be gone before training ends, but `end`=18 steps is"
    with pytest.raises(InputError, match=match + r" step 18 of 18; set `end` to at most 17"):
        surgery(tiny_model, reviews, late)

    config = AutoConfig.for_model(
        "albert",
        vocab_size=90,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=128,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    TextClassifier(tiny_model).tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"\(bert, .*mpnet\), got 'albert'"):
        surgery(str(tmp_path), reviews, OperatorSurgery())

    model = TextClassifier(tiny_model)
    with pytest.raises(InputError, match=r"`data.streaming: false` for calibration on training"):
        quiet_trainer(OperatorSurgery(affine_norm=True), max_steps=18, max_epochs=-1).fit(
            model, datamodule=reviews_data(reviews, streaming=True)
        )
    with pytest.raises(InputError, match=r"`TextClassifier` for `callbacks.OperatorSurgery`"):
        OperatorSurgery().setup(quiet_trainer(), LightningModule(), "fit")


WITNESS = '''
import torch
from lightning.pytorch import Callback

class Witness(Callback):
    """Writes what each process has at the end."""

    def __init__(self, folder: str):
        self.folder = folder

    def on_train_end(self, trainer, model):
        seen = {"weights": dict(model.state_dict()), "record": model.architecture.as_plain()}
        torch.save(seen, f"{self.folder}/{trainer.global_rank}.pt")
'''
SURGERY = "{affine_norm: true, start: 4, end: 20, unit: steps, num_samples: 32}"


def test_two_processes_change_as_one_does(tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "witness.py").write_text(WITNESS)
    surgery = f"{{class_path: callbacks.OperatorSurgery, init_args: {SURGERY}}}"
    no_dropout = ("--model.hidden_dropout=0.0", "--model.attention_dropout=0.0")
    arguments = tiny_fit(tiny_model, tmp_path, *no_dropout, f"--trainer.callbacks+={surgery}")
    seen: dict[str, list[Any]] = {}
    for name, batch, more in (
        ("one", 16, ()),
        ("two", 8, ("--trainer.strategy=ddp", "--trainer.devices=2")),
    ):
        (tmp_path / name).mkdir()
        witness = ("--trainer.callbacks+=witness.Witness", f"--trainer.callbacks.folder={name}")
        options = (f"--name={name}", f"--data.train_batch_size={batch}", *more)
        glint(*arguments, *witness, *options, cwd=tmp_path)
        seen[name] = [torch.load(path) for path in sorted((tmp_path / name).glob("*.pt"))]
    (one,), (first, second) = seen["one"], seen["two"]
    assert first["record"] == second["record"]
    assert differences(first["weights"], second["weights"]) == []
    for name, weights in one["weights"].items():
        torch.testing.assert_close(first["weights"][name], weights, rtol=1e-4, atol=1e-5)
    gains = [r["record"]["operators"]["constants"][1][1]["gain"] for r in (one, first)]
    assert gains[0] == pytest.approx(gains[1], rel=1e-3)
