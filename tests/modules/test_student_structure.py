import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import RandomState
from callbacks.structured_pruning import kept_layers
from lightning_app.__main__ import main
from lightning_app.errors import InputError
from modules import TextClassifier
from modules.architecture import LayerShape
from modules.structure import layer_shapes
from modules.student_structure import StudentStructure, mapped_layers
from tests.end_to_end.command import REPOSITORY, differences, glint, run_folder, tiny_fit
from tests.modules.test_text_classifier import task
from tests.tiny_fit import SaveAt, fit, quiet_trainer, reviews_data

STUDENTS = sorted((REPOSITORY / "configs/students").glob("*.yaml"))
NARROW = StudentStructure(num_layers=[1], hidden_size=16, num_heads=1, intermediate_size=12)
TASK = task("no", "yes")
IDS = torch.arange(5, 35).view(3, 10)


@torch.no_grad()
def logits_of(model: TextClassifier) -> torch.Tensor:
    logits: torch.Tensor = model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return logits


def last_operation(model: TextClassifier) -> dict[str, Any]:
    assert model.architecture is not None
    return model.architecture.history[-1]


def test_maps() -> None:
    assert mapped_layers(6, 12, "even") == [1, 3, 5, 7, 9, 11]
    assert mapped_layers(4, 6, "even") == [1, 2, 3, 5] != mapped_layers(4, 6, "last")
    assert mapped_layers(3, 12, "first") == [0, 1, 2]
    assert mapped_layers(3, 12, "last") == [9, 10, 11]
    for layer_map in ("even", "first", "last"):
        assert mapped_layers(5, 5, layer_map) == [0, 1, 2, 3, 4]


def test_even_is_what_structured_pruning_keeps() -> None:
    for count in range(2, 25):
        for wanted in range(1, count):
            assert mapped_layers(wanted, count, "even") == kept_layers(wanted, count)


def test_a_list_is_its_own_map() -> None:
    assert StudentStructure([0, 2, 5]).layers(6) == [0, 2, 5]
    assert StudentStructure(hidden_size=8).layers(3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"one of `num_layers`, `hidden_size`, .* in `model.structure`, got none"),
        ({"num_layers": 0}, r"`model.structure.num_layers` to be at least 1, got 0"),
        ({"hidden_size": 0}, r"`model.structure.hidden_size` to be at least 1, got 0"),
        ({"num_heads": -1}, r"`model.structure.num_heads` to be at least 1, got -1"),
        ({"intermediate_size": 0}, r"`model.structure.intermediate_size` to be at least 1, got 0"),
        ({"num_layers": []}, r"one or more different positions in ascending order, .* got \[\]"),
        ({"num_layers": [1, 1]}, r"different positions in ascending order, .* got \[1, 1\]"),
        ({"num_layers": [2, 0]}, r"different positions in ascending order, .* got \[2, 0\]"),
        ({"num_layers": [-1, 0]}, r"counted from 0, got \[-1, 0\]"),
        (
            {"layer_map": "odd"},
            r"`model.structure.layer_map` to be one of even, first, last, searched, got",
        ),
        ({"weights": "random"}, r"`model.structure.weights` to be one of teacher, fresh, got"),
        ({"num_layers": [0, 2], "weights": "fresh"}, r"to be a number with .* `weights: teacher`"),
        ({"num_layers": [0], "layer_map": "first"}, r"layer_map` with a number .* got .*'first'"),
        ({"hidden_size": 8, "layer_map": "last"}, r"`model.structure.layer_map` .*=None"),
        (
            {"num_layers": 1, "layer_map": "last", "weights": "fresh"},
            r"`model.structure.layer_map` .* weights='fresh'",
        ),
    ],
)
def test_refuses_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StudentStructure(**options)


def test_without_a_structure_nothing_is_different(tiny_model: str) -> None:
    plain, whole = TextClassifier(tiny_model), TextClassifier(tiny_model)
    whole.structure = StudentStructure(num_layers=2)
    for model in (plain, whole):
        torch.manual_seed(1)  # of the head
        model.build(TASK)
    assert torch.equal(logits_of(plain), logits_of(whole))
    assert last_operation(plain) == {"operation": "load", "from": tiny_model}
    assert last_operation(whole)["layers"] == [0, 1]


def test_a_fresh_student_reads_no_weights(tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr("modules.starting_network.load_network", refuse)
    model = TextClassifier(tiny_model, structure=StudentStructure(1, weights="fresh"))
    model.build(TASK)
    assert model.network is not None
    assert len(model.network.bert.encoder.layer) == 1
    assert model.network.config.id2label == {0: "no", 1: "yes"}
    assert model.classify(["the film"])[0]["label"] in ("no", "yes")


@pytest.fixture
def student(tiny_model: str, reviews: Path, tmp_path: Path) -> tuple[Path, TextClassifier]:
    """A checkpoint of a student after three steps, whose teacher is gone, and the student."""
    shutil.copytree(tiny_model, tmp_path / "teacher")
    model = TextClassifier(str(tmp_path / "teacher"), learning_rate=1e-3, structure=NARROW)
    saver = ModelCheckpoint(tmp_path / "saved", filename="student")
    fit(tiny_model, reviews, saver, model=model, max_steps=3, enable_checkpointing=True)
    shutil.rmtree(tmp_path / "teacher")
    return tmp_path / "saved/student.ckpt", model


def test_a_checkpoint_is_plain_and_opens_alone(student: tuple[Path, TextClassifier]) -> None:
    path, model = student
    contents = torch.load(path, weights_only=True)
    assert contents["hyper_parameters"]["structure"] == NARROW.as_plain()
    opened = TextClassifier.load_from_checkpoint(path)
    assert torch.equal(logits_of(opened), logits_of(model))
    assert opened.structure == NARROW
    assert opened.architecture == model.architecture
    assert last_operation(opened)["layers"] == [1]  # once
    assert opened.network is not None
    assert (opened.network.config.hidden_size, opened.network.config.num_hidden_layers) == (16, 1)
    without = TextClassifier.load_from_checkpoint(path, structure=None)
    assert torch.equal(logits_of(without), logits_of(model))


def test_resumed_is_undisturbed(tiny_model: str, reviews: Path, tmp_path: Path) -> None:
    def run(*callbacks: Callback, resume: Path | None = None) -> Any:
        torch.manual_seed(1)
        model = TextClassifier(tiny_model, structure=NARROW)
        trainer = quiet_trainer(*callbacks, RandomState(), max_epochs=2)
        trainer.fit(model, datamodule=reviews_data(reviews), ckpt_path=resume)
        assert trainer.global_step == 12
        return trainer

    whole = run(SaveAt(tmp_path / "saved.ckpt", 4))
    resumed = run(resume=tmp_path / "saved.ckpt")
    for part in ("model", "optimizers"):
        states = [getattr(trainer, part) for trainer in (whole, resumed)]
        states = [s[0] if isinstance(s, list) else s for s in states]
        assert differences(*(s.state_dict() for s in states)) == []
    assert last_operation(resumed.model) == last_operation(whole.model)
    assert resumed.model.network.config.to_dict() == whole.model.network.config.to_dict()


def test_a_fit_may_begin_with_a_student_and_cut_further(
    student: tuple[Path, TextClassifier], reviews: Path
) -> None:
    path, before = student
    model = TextClassifier(str(path))
    model.build(TASK)
    assert torch.equal(logits_of(model), logits_of(before))
    assert last_operation(model) == {"operation": "continue", "checkpoint": str(path)}
    smaller = TextClassifier(str(path), structure=StudentStructure(intermediate_size=5))
    smaller.build(TASK)
    assert smaller.architecture is not None
    assert smaller.network is not None
    assert smaller.network.config.intermediate_size == 5
    names = [entry["operation"] for entry in smaller.architecture.history]
    assert names == ["load", "student", "continue", "student"]
    again = TextClassifier(str(path), structure=NARROW)
    with pytest.raises(InputError, match=r"positions in \[0, 1\), as the base model has 1 layers"):
        again.build(TASK)
    fresh = TextClassifier(str(path), structure=StudentStructure(2, 32, 2, weights="fresh"))
    fresh.build(TASK)
    assert fresh.network is not None
    assert fresh.network.config.hidden_size == 32
    assert fresh.tokenizer.get_vocab() == before.tokenizer.get_vocab()


def test_fewer_heads_alone_open_through_the_record(tiny_model: str) -> None:
    model = TextClassifier(tiny_model, structure=StudentStructure(num_heads=1))
    model.build(TASK)
    assert model.architecture is not None
    assert model.architecture.layers is not None
    assert [len(shape.heads) for shape in model.architecture.layers] == [1, 1]
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    opened = TextClassifier(tiny_model)
    opened.adopt(checkpoint)
    opened.load_state_dict(model.state_dict())
    assert torch.equal(logits_of(opened), logits_of(model))


def printed(*arguments: str, capsys: pytest.CaptureFixture[str]) -> Any:
    with pytest.raises(SystemExit) as stop:
        main(["fit", *arguments, "--print_config"])
    assert stop.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)["model"]["structure"]


@pytest.mark.parametrize("config", STUDENTS, ids=lambda path: path.stem)
def test_each_config_sets_what_it_says(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mrpc = f"--config={REPOSITORY}/configs/mrpc.yaml"
    wanted = yaml.safe_load(config.read_text())["model"]["structure"]
    structure = printed(mrpc, f"--config={config}", capsys=capsys)
    assert structure == StudentStructure(**wanted).as_plain()
    more = ("--model.structure.num_layers=[0,2]", "--model.structure.layer_map=even")
    structure = printed(mrpc, f"--config={config}", *more, capsys=capsys)
    assert structure == StudentStructure(**{**wanted, "num_layers": [0, 2]}).as_plain()


def test_there_is_a_config_of_each_kind() -> None:
    names = {path.stem for path in STUDENTS}
    assert names == {"six_layers", "four_layers", "three_layers", "half_width"}


def test_the_command_line_takes_a_structure_by_its_parts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mrpc = f"--config={REPOSITORY}/configs/mrpc.yaml"
    assert printed(mrpc, capsys=capsys) is None
    options = ("--model.structure.num_layers=3", "--model.structure.weights=fresh")
    expected = StudentStructure(3, weights="fresh").as_plain()
    assert printed(mrpc, *options, capsys=capsys) == expected


def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    mrpc = f"--config={REPOSITORY}/configs/mrpc.yaml"
    assert main(["fit", mrpc, "--model.structure.num_layers=[1,0]"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("glint: Expected `model.structure.num_layers` to be a number, or one")
    assert said.endswith("got [1, 0].")


@pytest.mark.slow
def test_from_the_command_line(tiny_model: str, tmp_path: Path) -> None:
    structure = ("--model.structure.num_layers=[1]", "--model.structure.intermediate_size=8")
    refused = glint(
        *tiny_fit(tiny_model, tmp_path / "no"), "--model.structure.num_layers=5", expect=2
    )
    assert "`model.structure.num_layers` to be in [1, 2], as the base model" in refused.stderr
    assert "Traceback" not in refused.stderr
    glint(*tiny_fit(tiny_model, tmp_path), *structure, "--trainer.max_steps=3")
    folder = run_folder(tmp_path)
    config = f"--config={folder}/config.yaml"
    glint("fit", config, "--ckpt_path=last", "--trainer.max_steps=5")
    answer = glint("predict", config, "--ckpt_path=last", "--text=good", "--text_pair=fine")
    assert "equivalent" in answer.stdout
    contents = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert contents["global_step"] == 5
    model = TextClassifier.load_from_checkpoint(folder / "checkpoints/last.ckpt")
    assert model.architecture is not None
    names = [entry["operation"] for entry in model.architecture.history]
    assert names == ["load", "student"]
    assert model.architecture.layers is None
    assert model.network is not None
    assert layer_shapes(model.network) == (LayerShape((0, 1), 8),)
