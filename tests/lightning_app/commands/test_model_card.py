import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_app.commands.licences import licence_of
from lightning_app.commands.model_card import model_card
from lightning_app.commands.run_facts import RunFacts
from tests.lightning_app.artifact.test_text_model import manifest

HISTORY = [
    {"operation": "load", "from": "embedded"},
    {"operation": "prune_structure", "heads": 0.5},
]


def run(tmp_path: Path) -> Path:
    """A run's folder with a checkpoint of step 20."""
    config: dict[str, Any] = {
        "model": {"learning_rate": 3e-5, "model_name_or_path": "embedded"},
        "data": {
            "class_path": "datamodules.GLUEDataModule",
            "init_args": {"task_name": "mrpc", "max_seq_length": 64, "dataset": None},
        },
        "trainer": {
            "max_epochs": 3,
            "callbacks": [{"class_path": "callbacks.StructuredPruning", "init_args": {}}],
        },
    }
    history = [
        {"step": 10, "val/score": 0.5, "val/loss": 1.0},
        {"step": 20, "epoch": 1, "val/score": 0.8712, "val/loss": 0.4, "compressed": True},
        {"step": 30, "val/score": 0.6},
    ]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "metrics.json").write_text(json.dumps({"seed": 7, "history": history}))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints/best.ckpt"


def facts(tmp_path: Path, step: int = 20) -> RunFacts:
    return RunFacts.of_checkpoint(run(tmp_path), step)


def test_the_scores_are_those_of_the_checkpoint_and_not_the_best(tmp_path: Path) -> None:
    found = facts(tmp_path)
    assert found.scores == {"val/score": 0.8712, "val/loss": 0.4}
    assert found.max_seq_length == 64
    assert found.callbacks == ("StructuredPruning",)
    assert found.shown == {
        "task_name": "mrpc",
        "learning_rate": 3e-5,
        "max_epochs": 3,
        "seed": 7,
    }


def test_a_step_that_was_not_validated_has_no_scores(tmp_path: Path) -> None:
    assert facts(tmp_path, step=25).scores == {}


@pytest.mark.parametrize("text", [None, "", "[1, 2", "- a\n- b", "null"])
def test_without_a_run_there_are_no_facts(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
        (tmp_path / "metrics.json").write_text(text)
    assert RunFacts.of_checkpoint(tmp_path / "x.ckpt", 3) == RunFacts()


def card(tmp_path: Path, base: str = "embedded", **changes: Any) -> str:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.safetensors").write_bytes(b"12345")
    architecture = {"base_model": base, "history": HISTORY}
    says = manifest(architecture=architecture, parameters=200, nonzero_parameters=150, **changes)
    return model_card(says, facts(tmp_path), out)


def test_the_card_says_where_the_model_comes_from(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert text.startswith("---\nlicense: apache-2.0\npipeline_tag: text-classification\n")
    for line in (
        "Reads text, at most 6 tokens; answers no, yes",
        "1. load: from embedded\n2. prune_structure: heads 0.5",
        "Callbacks: StructuredPruning.",
        "| task_name | mrpc |",
        "| val/score | 0.8712 |",
        "| parameters | 200 (25.0% are zero) |",
        "| model.safetensors | 5 bytes |",
        "The base model `embedded`: apache-2.0.",
        "Opens in plain `transformers`, too",
        'model(["a text"])',
    ):
        assert line in text
    front = text.split("---")[1]
    assert yaml.safe_load(front)["tags"] == ["glint"]


def test_the_card_of_another_layout_does_not_promise_transformers(tmp_path: Path) -> None:
    text = card(tmp_path, layout="free", columns=2)
    assert "Opens in plain" not in text
    assert "not by `from_pretrained`" in " ".join(text.split())
    assert 'model(["a text"], ["a second text"])' in text


def test_an_unknown_licence_is_said_to_be_unknown(tmp_path: Path) -> None:
    text = card(tmp_path, base="someone/something")
    assert "license:" not in text
    assert "`someone/something`, which is not known here: look it up." in text


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ("embedded", "apache-2.0"),
        ("bert-base-uncased", "apache-2.0"),
        ("google-bert/bert-large-cased", "apache-2.0"),
        ("FacebookAI/roberta-base", "mit"),
        ("evil/roberta-base", None),
        ("bert-base-uncased-finetuned", None),
    ],
)
def test_licences(base: str, licence: str | None) -> None:
    assert licence_of(base) == licence


def test_the_licence_of_a_folder_is_that_of_its_card(tmp_path: Path) -> None:
    assert licence_of(str(tmp_path)) is None
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-4.0\n---\n# x\n")
    assert licence_of(str(tmp_path)) == "cc-by-4.0"
    (tmp_path / "README.md").write_text("# x\nlicense: mit\n")
    assert licence_of(str(tmp_path)) is None
