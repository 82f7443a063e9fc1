import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_app.errors import InputError
from lightning_app.task import METRICS_BY_PROBLEM, ProblemType, Task
from modules import TextClassifier
from tests.tiny_fit import fit, quiet_trainer, reviews_data


def task(
    *labels: str, problem: ProblemType = "single_label_classification", columns: int = 1
) -> Task:
    metrics = METRICS_BY_PROBLEM[problem]
    names = ("text", "second")[:columns]
    return Task("own", names, labels, problem, metrics, metrics)


def built(tiny_model: str, task: Task, **options: Any) -> TextClassifier:
    model = TextClassifier(tiny_model, **options)
    model.build(task)
    return model


IDS = torch.arange(5, 35).view(3, 10)


@pytest.fixture(scope="module")
def checkpoint(
    tiny_model: str, reviews: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, torch.Tensor]:
    """A checkpoint whose base model is gone, and the logits of the model that wrote it."""
    folder = tmp_path_factory.mktemp("gone")
    shutil.copytree(tiny_model, folder / "base")
    model = TextClassifier(str(folder / "base"), learning_rate=1e-3)
    saver = ModelCheckpoint(folder / "saved", filename="best")
    trainer = quiet_trainer(saver, enable_checkpointing=True)
    trainer.fit(model, datamodule=reviews_data(reviews))
    shutil.rmtree(folder / "base")
    with torch.inference_mode():
        logits = model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return folder / "saved/best.ckpt", logits


def test_checkpoint_alone_gives_the_same_logits_bit_for_bit(
    checkpoint: tuple[Path, torch.Tensor],
) -> None:
    path, expected = checkpoint
    model = TextClassifier.load_from_checkpoint(path)
    assert not Path(model.model_name_or_path).exists()
    assert not model.training
    with torch.inference_mode():
        logits = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    assert torch.equal(logits, expected)


def test_checkpoint_carries_the_tokenizer_the_task_and_the_options(
    checkpoint: tuple[Path, torch.Tensor], tiny_model: str
) -> None:
    model = TextClassifier.load_from_checkpoint(checkpoint[0], weight_decay=0.5)
    original = TextClassifier(tiny_model).tokenizer
    assert (
        model.tokenizer(["The cats ate."])["input_ids"] == original(["The cats ate."])["input_ids"]
    )
    assert model.task is not None
    assert model.task.label_names == ("no", "yes")
    assert (model.learning_rate, model.weight_decay) == (1e-3, 0.5)


def test_checkpoint_holds_plain_values_only(checkpoint: tuple[Path, torch.Tensor]) -> None:
    contents = torch.load(checkpoint[0], weights_only=True)
    assert list(contents["architecture"]["config"]["id2label"].values()) == ["no", "yes"]
    assert set(contents["tokenizer"]) >= {"tokenizer.json", "tokenizer_config.json"}


def test_label_names_are_in_the_network_configuration(
    checkpoint: tuple[Path, torch.Tensor], tiny_model: str
) -> None:
    loaded = TextClassifier.load_from_checkpoint(checkpoint[0])
    for model in (built(tiny_model, task("no", "yes")), loaded):
        assert model.network is not None
        config = model.network.config
        assert config.id2label == {0: "no", 1: "yes"}
        assert config.label2id == {"no": 0, "yes": 1}
        assert config.problem_type == "single_label_classification"


def test_classify_gives_the_softmax_by_label(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b", "c")).eval()
    texts = ["the good film", "a bad movie , very bad ."]
    answers = model.classify(texts)
    for text, answer in zip(texts, answers, strict=True):
        with torch.no_grad():  # alone, without padding
            shares = model(**model.tokenizer([text], return_tensors="pt")).logits[0].softmax(-1)
        assert list(answer["scores"]) == ["a", "b", "c"]
        assert list(answer["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-6)
        assert answer["label"] == "abc"[int(shares.argmax())]
        assert answer["score"] == max(answer["scores"].values())


def test_classify_pairs_reads_both_texts(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b", columns=2))
    one, other = (model.classify(["the cat"], [second])[0] for second in ("a dog", "very bad"))
    encoded = model.tokenizer(["the cat"], ["a dog"], return_tensors="pt")
    with torch.no_grad():
        shares = model.eval()(**encoded).logits[0].softmax(-1)
    assert list(one["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-6)
    assert one["scores"] != other["scores"]


def test_classify_several_labels_and_regression(tiny_model: str) -> None:
    several = built(tiny_model, task("a", "b", problem="multi_label_classification"))
    assert several.network is not None
    with torch.no_grad():
        several.network.classifier.weight.zero_()
        several.network.classifier.bias.copy_(torch.tensor([0.0, 3.0]).log1p() - 0.5)
    answer = several.classify(["the film"])[0]
    assert answer["label"] == ["b"]
    expected = torch.tensor([-0.5, torch.tensor(4.0).log() - 0.5]).sigmoid().tolist()
    assert list(answer["scores"].values()) == pytest.approx(expected)
    regression = built(tiny_model, task("value", problem="regression"))
    assert regression.network is not None
    with torch.no_grad():
        regression.network.classifier.weight.zero_()
        regression.network.classifier.bias.fill_(2.5)
    assert regression.classify(["the film"]) == [{"score": 2.5}]


def test_classify_leaves_the_mode_as_it_was(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b")).train()
    first, second = model.classify(["the film"]), model.classify(["the film"])
    assert first == second  # no dropout
    assert model.training


def test_dropout_is_overridden_where_asked(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b"), hidden_dropout=0.25, attention_dropout=0.0)
    assert model.network is not None
    config = model.network.config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.0)
    rates = {m.p for m in model.network.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.25, 0.0}
    untouched = built(tiny_model, task("a", "b"))
    assert untouched.network is not None
    assert untouched.network.config.hidden_dropout_prob == 0.1


def test_a_model_without_such_a_dropout_is_refused(
    tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import T5Config

    config = T5Config()
    del config.dropout_rate
    monkeypatch.setattr("modules.starting_network.load_config", lambda name: config)
    with pytest.raises(InputError, match="attention dropout, but a t5 configuration has none of"):
        built(tiny_model, task("a", "b"), attention_dropout=0.1)


def test_reinitialized_layers_are_in_the_history(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b"), reinit_layers=1)
    assert model.architecture is not None
    assert model.architecture.history[-1] == {"operation": "reinitialize", "num_layers": 1}
    pretrained = built(tiny_model, task("a", "b")).state_dict()
    changed = {
        name.split("layer.")[1][0]
        for name, tensor in model.state_dict().items()
        if "layer." in name and not torch.equal(tensor, pretrained[name])
    }
    assert changed == {"1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, r"`model.learning_rate` to be above 0, got 0.0"),
        ({"layer_decay": 0.0}, r"`model.layer_decay` to be in \(0, 1\], got 0.0"),
        ({"layer_decay": 1.5}, r"got 1.5"),
        ({"hidden_dropout": 1.0}, r"`model.hidden_dropout` to be in \[0, 1\), got 1.0"),
        ({"attention_dropout": -0.1}, r"`model.attention_dropout` .* got -0.1"),
    ],
)
def test_refuses_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TextClassifier(**options)


def test_unknown_base_model_is_refused_in_one_sentence(tiny_model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model 'nobody/nothing' could be loaded"):
        built("nobody/nothing", task("a", "b"))
    with pytest.raises(InputError, match=r"to be the folder of a model"):
        built(str(tmp_path), task("a", "b"))


def test_checkpoint_of_other_labels_is_refused(
    checkpoint: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text("text,label\na,up\nb,down\n")
    model = TextClassifier.load_from_checkpoint(checkpoint[0])
    # The file's own labels, not the model's: another module built the data's task.
    data = reviews_data(tmp_path, tokenizer=None)
    assert data.task.label_names == ("down", "up")
    with pytest.raises(InputError, match=r"2 labels: down, up.* trained for .*2 labels: no, yes"):
        quiet_trainer().validate(model, datamodule=data, verbose=False)


def test_training_loss_is_the_sum_of_all_terms(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b")).eval()
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    batch = {
        "input_ids": IDS,
        "attention_mask": torch.ones_like(IDS),
        "labels": torch.tensor([0, 1, 1]),
    }
    alone = model.training_step(batch, 0).item()
    model.objective.add("const", lambda batch, out: out.logits.new_tensor(3.0), weight=0.5)
    assert model.training_step(batch, 0).item() == pytest.approx(alone + 1.5)
    terms = {name: value.item() for name, value in model.last_losses.items()}
    assert terms == pytest.approx({"task": alone, "const": 1.5})


def test_rows_of_weight_zero_do_not_count(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b")).eval()
    model.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    batch = {
        "input_ids": IDS,
        "attention_mask": torch.ones_like(IDS),
        "labels": torch.tensor([0, 1, 1]),
    }
    two = {name: value[:2] for name, value in batch.items()}
    weighted = {**batch, "row_weight": torch.tensor([1.5, 1.5, 0.0])}
    expected = model.training_step(two, 0).item()
    assert model.training_step(weighted, 0).item() == pytest.approx(expected, rel=1e-5)


def test_optimizer_is_fused_adamw_with_the_given_options(tiny_model: str) -> None:
    model = built(tiny_model, task("a", "b"), adam_betas=(0.8, 0.9), adam_epsilon=1e-6)
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"], group["fused"]) == ((0.8, 0.9), 1e-6, True)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_in_any_precision(
    precision: str, algorithm: str, tiny_model: str, reviews: Path
) -> None:
    class Sizes(Callback):
        def __init__(self) -> None:
            self.norms: list[float] = []
            self.largest: list[float] = []

        def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
            gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
            if gradients:
                self.norms.append(float(torch.cat(gradients).norm()))
                self.largest.append(float(torch.cat(gradients).abs().max()))

    sizes = Sizes()
    options = {"gradient_clip_val": 1e-3, "gradient_clip_algorithm": algorithm}
    fit(tiny_model, reviews, sizes, precision=precision, **options)
    seen = sizes.norms if algorithm == "norm" else sizes.largest
    assert max(seen) == pytest.approx(1e-3, rel=1e-2)
