"""What `Distillation` does beside standing the matrix of all callbacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, BertTokenizerFast

from callbacks import Compression, Distillation, StructuredPruning, WeightSchedule
from callbacks.layer_pairing import LayerPairing
from lightning_app.errors import InputError
from modules import TextClassifier
from modules.student_structure import StudentStructure
from modules.teacher import load_teacher
from tests.callbacks.all_callbacks import CASES, Case
from tests.callbacks.test_matrix import encoder_linears, zeros
from tests.end_to_end.command import differences
from tests.tiny_bert import save_bert
from tests.tiny_fit import quiet_trainer, reviews_data

EVERY_TERM: dict[str, Any] = {
    "soft_targets": 1.0,
    "hidden_states": 1.0,
    "attentions": 1.0,
    "relations": 1.0,
    "embeddings": 1.0,
}


class Recorder(DummyLogger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append({**metrics, "step": step})


class Losses(Callback):
    """Keeps each step's terms."""

    def __init__(self) -> None:
        self.terms: list[dict[str, float]] = []
        self.first_batch: dict[str, Any] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.first_batch = self.first_batch or batch
        self.terms.append({name: float(t) for name, t in pl_module.last_losses.items()})


@pytest.fixture(scope="module")
def teacher(reviews: Path, tmp_path_factory: pytest.TempPathFactory, tiny_model: str) -> str:
    """A checkpoint of another size: 4 layers, width 64, 4 heads."""
    folder = tmp_path_factory.mktemp("teacher")
    sure = 0.3  # of its answers
    sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    start = save_bert(folder / "start", tokenizer, seed=3, initializer_range=sure, **sizes)
    torch.manual_seed(4)
    trainer = quiet_trainer(max_epochs=2)
    model = TextClassifier(start, learning_rate=1e-3)
    trainer.fit(model, datamodule=reviews_data(reviews))
    trainer.save_checkpoint(folder / "teacher.ckpt")
    return str(folder / "teacher.ckpt")


@pytest.fixture
def fit(tiny_model: str, reviews: Path) -> Callable[..., tuple[Trainer, Losses]]:
    """6 steps without dropout."""

    def fit(*callbacks: Callback, **options: Any) -> tuple[Trainer, Losses]:
        torch.manual_seed(1)
        model = TextClassifier(
            tiny_model, learning_rate=1e-3, hidden_dropout=0.0, attention_dropout=0.0
        )
        losses = Losses()
        trainer = quiet_trainer(*callbacks, losses, **options)
        trainer.fit(model, datamodule=reviews_data(reviews))
        return trainer, losses

    return fit


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return dict(trainer.lightning_module.state_dict())


def test_soft_targets_of_the_first_batch_by_hand(fit: Any, teacher: str, tiny_model: str) -> None:
    _, losses = fit(Distillation(teacher, soft_targets=0.5, temperature=3.0, task=0.0))
    batch = losses.first_batch
    inputs = {k: batch[k] for k in ("input_ids", "attention_mask")}
    master = TextClassifier.load_from_checkpoint(teacher)
    torch.manual_seed(1)
    student = TextClassifier(tiny_model)
    assert master.task is not None
    student.build(master.task)
    with torch.no_grad():
        p = F.softmax(master(**inputs).logits / 3.0, -1)
        q = F.softmax(student.eval()(**inputs).logits / 3.0, -1)
    expected = 0.5 * 9.0 * float((p * (p / q).log()).sum(-1).mean())
    assert losses.terms[0]["soft_targets"] == pytest.approx(expected, rel=1e-4)
    assert losses.terms[0]["task"] == 0.0


def test_a_copy_of_the_student_teaches_nothing(fit: Any) -> None:
    _, losses = fit(Distillation("self", task=1.0, **EVERY_TERM))
    first = losses.terms[0]
    assert [first[name] for name in EVERY_TERM] == pytest.approx([0.0] * 5, abs=1e-6)
    # Relations keep their weights' scale in the norm; after a step the student has moved away.
    assert all(losses.terms[-1][name] > 1e-8 for name in ("soft_targets", "hidden_states"))


def test_a_wider_teacher_gets_a_projection_that_trains_and_is_not_exported(
    fit: Any, teacher: str, tmp_path: Path
) -> None:
    trainer, losses = fit(Distillation(teacher, hidden_states=1.0, embeddings=1.0, relations=1.0))
    model: Any = trainer.lightning_module
    projection = model.companions["distillation"]
    assert projection.weight.shape == (64, 32)
    (group,) = [g for g in trainer.optimizers[0].param_groups if g["name"] == "distillation"]
    assert group["params"][0] is projection.weight
    assert trainer.optimizers[0].state[projection.weight]["step"] == 6
    assert losses.terms[-1]["hidden_states"] < losses.terms[0]["hidden_states"]
    trainer.save_checkpoint(tmp_path / "student.ckpt")
    alone = TextClassifier.load_from_checkpoint(tmp_path / "student.ckpt")
    assert not [name for name in alone.state_dict() if name.startswith("companions")]
    assert (
        differences(
            dict(alone.state_dict()),
            {k: v for k, v in model.state_dict().items() if not k.startswith("companions")},
        )
        == []
    )
    again = quiet_trainer()
    again.validate(
        TextClassifier(model.model_name_or_path),
        trainer.datamodule,
        ckpt_path=tmp_path / "student.ckpt",
        verbose=False,
    )


def test_the_teacher_is_nowhere_in_the_module(fit: Any, teacher: str) -> None:
    callback = Distillation(teacher, **{**EVERY_TERM, "attentions": 0.0})
    trainer, _ = fit(callback)
    names = {name for name, _ in trainer.lightning_module.named_parameters()}
    assert all(n.startswith(("network.", "companions.distillation.")) for n in names)
    assert callback._loaded is not None
    network = callback._loaded.network
    assert not network.training
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())
    held = {id(p) for g in trainer.optimizers[0].param_groups for p in g["params"]}
    assert not held & {id(p) for p in network.parameters()}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_cached_teacher_teaches_the_same(
    fit: Any, teacher: str, tmp_path: Path, dtype: Any
) -> None:
    terms = {**EVERY_TERM, "attentions": 0.0}
    live, live_losses = fit(Distillation(teacher, **terms), max_epochs=2)
    options = {"cache": True, "cache_dtype": dtype, "cache_dir": str(tmp_path)}
    cached, losses = fit(Distillation(teacher, **terms, **options), max_epochs=2)
    tolerance = 1e-6 if dtype == "float32" else 2e-3
    for a, b in zip(live_losses.terms, losses.terms, strict=True):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance)
    # Rows of other batches are rounded otherwise; of 12 steps of 1e-3 that Adam makes a hundredth.
    distance = 1.2e-4 if dtype == "float32" else 1e-2
    for name, weight in weights(live).items():
        assert torch.allclose(weights(cached)[name], weight, rtol=0.0, atol=distance)
    written = sorted(tmp_path.rglob("*.bin"))
    assert [f.stem for f in written][-1] == "value_4"
    stamps = [f.stat().st_mtime_ns for f in written]
    again, _ = fit(Distillation(teacher, **terms, **options), max_epochs=2)
    assert differences(weights(again), weights(cached)) == []
    assert [f.stat().st_mtime_ns for f in sorted(tmp_path.rglob("*.bin"))] == stamps


def test_a_schedule_changes_the_weight(fit: Any, teacher: str) -> None:
    schedules = {"soft_targets": WeightSchedule(0.0, 1.0, start=2, end=4, unit="steps")}
    _, losses = fit(Distillation(teacher, task=1.0, schedules=schedules))
    terms = [step["soft_targets"] for step in losses.terms]
    assert terms[:3] == [0.0, 0.0, 0.0]
    assert all(term > 0 for term in terms[3:])


def test_teaches_what_structured_pruning_leaves(fit: Any) -> None:
    for callbacks in (
        (StructuredPruning(keep_layers=1), Distillation(hidden_states=1.0)),
        (Distillation(hidden_states=1.0), StructuredPruning(heads=0.5, neurons=0.5, num_samples=8)),
    ):
        trainer, losses = fit(*callbacks)
        assert losses.terms[0]["soft_targets"] > 0  # the teacher is the unpruned start
        assert losses.terms[0]["hidden_states"] > 0
        distillation: Any = next(c for c in callbacks if isinstance(c, Distillation))
        teacher, student = distillation._loaded.network, trainer.lightning_module.network
        assert teacher.num_parameters() > student.num_parameters()


def test_says_how_far_the_answers_agree(fit: Any) -> None:
    trainer, _ = fit(Distillation("self", task=0.0), max_epochs=1)
    assert trainer.callback_metrics["val/teacher_agreement"] == 1.0
    assert 0 <= float(trainer.callback_metrics["val/teacher_divergence"]) < 1e-3


def test_gradient_shares_add_up_to_one(tiny_model: str, reviews: Path) -> None:
    logger = Recorder()
    callback = Distillation("self", hidden_states=1.0, gradient_shares_every_n_steps=3)
    trainer = quiet_trainer(callback, logger=logger, log_every_n_steps=1)
    trainer.fit(TextClassifier(tiny_model, learning_rate=1e-3), datamodule=reviews_data(reviews))
    logged = [row for row in logger.rows if "gradient_share/task" in row]
    assert [row["step"] for row in logged] == [0, 3]
    for row in logged:
        shares = {k: v for k, v in row.items() if k.startswith("gradient_share/")}
        assert sorted(k.rpartition("/")[2] for k in shares) == [
            "hidden_states",
            "soft_targets",
            "task",
        ]
        assert sum(shares.values()) == pytest.approx(1.0)


def test_labels_in_another_order_are_brought_into_the_students(
    reviews: Path, tiny_model: str, tmp_path: Path, fit: Any
) -> None:
    from transformers import AutoTokenizer, BertForSequenceClassification

    network: Any = BertForSequenceClassification.from_pretrained(tiny_model)
    for names in (("no", "yes"), ("yes", "no")):
        folder = tmp_path / "-".join(names)
        network.config.id2label = dict(enumerate(names))
        network.config.label2id = {name: i for i, name in enumerate(names)}
        if names[0] == "yes":
            network.classifier.weight.data = network.classifier.weight.data.flip(0)
            network.classifier.bias.data = network.classifier.bias.data.flip(0)
        network.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    straight, turned = (fit(Distillation(str(tmp_path / n)))[1] for n in ("no-yes", "yes-no"))
    assert straight.terms == turned.terms
    network.config.id2label = {0: "spam", 1: "ham"}
    network.config.label2id = {"spam": 0, "ham": 1}
    network.save_pretrained(tmp_path / "yes-no")
    with pytest.raises(InputError, match=r"labels no, yes .* got .* with spam, ham"):
        fit(Distillation(str(tmp_path / "yes-no")))


def test_another_tokenizer_teaches_soft_targets_alone(
    teacher: str, tmp_path: Path, fit: Any, tiny_model: str
) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "the", "good", "bad", "was"]
    tokenizer = BertTokenizerFast(vocab={w: i for i, w in enumerate(words)})
    other = save_bert(tmp_path / "other", tokenizer, seed=0, initializer_range=0.5)
    _, losses = fit(Distillation(other))
    assert losses.terms[0]["soft_targets"] > 1e-3
    with pytest.raises(InputError, match="student's tokenizer for `relations`"):
        fit(Distillation(other, relations=1.0))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"attentions": 1.0}, r"as many heads .* got \[2\] and \[4\]; use `relations`"),
        ({"relations": 1.0, "relation_layer": 5}, r"`relation_layer` to be in \[1, 4\]"),
        ({"relations": 1.0, "relation_heads": 3}, "`relation_heads` to divide the 32 channels"),
    ],
)
def test_refuses_what_does_not_fit_the_teacher(
    fit: Any, teacher: str, arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        fit(Distillation(teacher, **arguments))


def test_refuses_a_teacher_without_a_trained_head(
    tiny_model: str, tmp_path: Path, fit: Any
) -> None:
    from transformers import AutoTokenizer, BertModel

    BertModel.from_pretrained(tiny_model).save_pretrained(tmp_path / "headless")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "headless")
    with pytest.raises(InputError, match=r"trained classification head, got .*headless"):
        fit(Distillation(str(tmp_path / "headless")))


def test_refuses_another_module() -> None:
    with pytest.raises(InputError, match=r"`TextClassifier` for `callbacks\.Distillation`, got"):
        Distillation().setup(quiet_trainer(), LightningModule(), "fit")


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if isinstance(case.make(), Compression)],
    ids=lambda case: case.name,
)
@pytest.mark.parametrize("teacher_first", [True, False], ids=["before", "after"])
def test_composes_with_every_compression(
    case: Case, teacher_first: bool, tiny_model: str, reviews: Path
) -> None:
    compression: Any = case.make()
    callbacks = [Distillation("self", hidden_states=1.0, relations=1.0, relation_heads=1)]
    callbacks.insert(len(callbacks) if teacher_first else 0, compression)
    torch.manual_seed(1)
    losses = Losses()
    trainer = quiet_trainer(*callbacks, losses, max_epochs=3)
    trainer.fit(TextClassifier(tiny_model, learning_rate=1e-3), datamodule=reviews_data(reviews))
    assert compression.is_complete
    assert all(losses.terms[-1][name] > 0 for name in ("hidden_states", "relations"))
    if case.sparsity is not None:
        linears = encoder_linears(weights(trainer))
        assert zeros(linears) == pytest.approx(case.sparsity, abs=1e-3)


def test_a_student_is_taught_by_what_it_was_cut_from(tiny_model: str, reviews: Path) -> None:
    callback = Distillation(hidden_states=1.0)
    student = TextClassifier(
        tiny_model, learning_rate=1e-3, structure=StudentStructure(num_layers=1)
    )
    quiet_trainer(callback).fit(student, datamodule=reviews_data(reviews))
    assert callback._loaded is not None
    assert callback._loaded.network.config.num_hidden_layers == 2
    assert student.network is not None
    assert student.network.config.num_hidden_layers == 1


def test_a_student_that_was_cut_from_its_teacher_is_taught_by_the_layers_that_it_was(
    tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    folder = save_bert(tmp_path, AutoTokenizer.from_pretrained(tiny_model), 0, num_hidden_layers=5)
    data = reviews_data(reviews, tokenizer=tiny_model)
    data.setup("fit")
    model = TextClassifier(folder)
    model.build(data.task)
    pairing = LayerPairing(model, load_teacher("self", model))
    model.keep_layers([0, 1, 3, 4])
    model.keep_layers([0, 2])
    assert pairing.pairs("kept") == [(1, 1), (2, 5)]
    assert pairing.pairs("even") == [(1, 2), (2, 5)]
