import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from datamodules import Augmentation, GLUEDataModule, TextFilesDataModule
from lightning_app.errors import InputError
from modules import TextClassifier

NUM_ROWS, NUM_LABELLED = 60, 20


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows_of(num_rows: int, word: str) -> list[dict[str, Any]]:
    return [{"text": f"the {word} was {'very ' * (i % 7)}good"} for i in range(num_rows)]


@pytest.fixture
def files(tmp_path: Path, tiny_model: str) -> dict[str, Any]:
    """Arguments: a training file of 60 rows, labels by row, and another as validation."""
    rows = [{**row, "label": "ab"[i % 2]} for i, row in enumerate(rows_of(NUM_ROWS, "film"))]
    return {
        "train_file": write(tmp_path / "train.jsonl", rows),
        "validation_file": write(tmp_path / "validation.jsonl", rows[:10]),
        "tokenizer": tiny_model,
        "train_batch_size": 8,
    }


def module(files: dict[str, Any], **options: Any) -> TextFilesDataModule:
    data = TextFilesDataModule(**{**files, **options})
    data.setup("fit")
    return data


def by_index(loader: Any) -> dict[int, tuple[bool, int]]:
    found = {}
    for batch in loader:
        pairs = zip(batch["labelled"].tolist(), batch["labels"].tolist(), strict=True)
        new = dict(zip(batch["index"].tolist(), pairs, strict=True))
        assert not set(new) & set(found)
        found.update(new)
    return found


def test_the_rest_comes_without_its_labels(files: dict[str, Any]) -> None:
    data = module(files, max_train_rows=NUM_LABELLED, unlabelled="rest")
    plain = module(files, max_train_rows=NUM_LABELLED)
    labelled = {row for batch in plain.train_dataloader() for row in batch["index"].tolist()}
    found = by_index(data.train_dataloader())
    assert found == {
        row: (row in labelled, row % 2 if row in labelled else 0) for row in range(NUM_ROWS)
    }
    assert (len(labelled), data.num_unlabelled, plain.num_unlabelled) == (20, 40, 0)
    assert "labelled" not in next(iter(plain.train_dataloader()))


def test_the_rest_holds_no_row_that_is_validated_on(files: dict[str, Any]) -> None:
    data = module(files, max_train_rows=20, unlabelled="rest", num_folds=3, fold=1)
    validated = {row for batch in data.val_dataloader()[0] for row in batch["index"].tolist()}
    found = by_index(data.train_dataloader())
    assert len(validated) == 20
    assert set(found) == set(range(NUM_ROWS)) - validated
    assert data.num_unlabelled == 20


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_file_is_numbered_behind_the_training_rows(
    files: dict[str, Any], tmp_path: Path, ending: str
) -> None:
    more = rows_of(13, "book")
    path = str(tmp_path / f"more{ending}")
    if ending == ".csv":
        Path(path).write_text("\n".join(["text", *(row["text"] for row in more)]) + "\n")
    else:
        write(Path(path), [{**row, "label": "unknown"} for row in more])
    data = module(files, unlabelled=path)
    found = by_index(data.train_dataloader())
    assert found == {row: (row < NUM_ROWS, row % 2 if row < NUM_ROWS else 0) for row in range(73)}
    assert data.num_unlabelled == 13
    assert data.texts("train", [60, 3, 72]) == [
        [more[0]["text"], "the film was very very very good", more[12]["text"]]
    ]
    index = [row for batch in data.every_training_row_loader(8) for row in batch["index"].tolist()]
    assert sorted(index) == list(range(73))
    assert data.every_training_row().fingerprint == (
        module(files, unlabelled=path).every_training_row().fingerprint
    )


def test_tokens_are_those_of_the_text_with_that_index(
    files: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "more.jsonl", rows_of(13, "book"))
    data = module(files, unlabelled=path, max_train_rows=NUM_LABELLED)
    for batch in data.train_dataloader():
        (texts,) = data.texts("train", batch["index"].tolist())
        expected = data.tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
        assert torch.equal(batch["input_ids"], expected)


def test_a_folder_gives_its_train_split_of_the_task(tiny_model: str) -> None:
    data = GLUEDataModule(
        "rte", dataset="embedded", tokenizer=tiny_model, max_train_rows=100, unlabelled="embedded"
    )
    data.setup("fit")
    assert data.num_unlabelled == 2400
    found = by_index(data.train_dataloader())
    assert sum(labelled for labelled, _ in found.values()) == 100
    assert {row for row, (labelled, _) in found.items() if not labelled} == set(range(2400, 4800))


def test_augmented_rows_come_behind_the_unlabelled(files: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "more.jsonl", rows_of(13, "book"))
    augmentation = Augmentation(copies=3, num_neighbours=4)
    data = module(files, unlabelled=path, max_train_rows=NUM_LABELLED, augmentation=augmentation)
    found = by_index(data.train_dataloader())
    augmented = sorted(row for row in found if row >= 73)
    assert augmented == list(range(73, 73 + data.num_unlabelled - 13))
    assert 20 < len(augmented) <= 60
    (texts,) = data.texts("train", augmented)
    originals = set(data.texts("train", range(NUM_ROWS))[0])
    assert not originals & set(texts)
    assert all(len(text.split()) >= 4 for text in texts)


def test_calibration_and_validation_see_labelled_rows_alone(files: dict[str, Any]) -> None:
    data = module(files, max_train_rows=NUM_LABELLED, unlabelled="rest")
    plain = module(files, max_train_rows=NUM_LABELLED)
    for loaders in (
        (data.calibration_loader(1000, 8), plain.calibration_loader(1000, 8)),
        (data.val_dataloader()[0], plain.val_dataloader()[0]),
    ):
        batches = [list(loader) for loader in loaders]
        assert all("labelled" not in batch for batch in batches[0])
        index = [torch.cat([batch["index"] for batch in part]) for part in batches]
        labels = [torch.cat([batch["labels"] for batch in part]) for part in batches]
        assert torch.equal(*index)
        assert torch.equal(*labels)


def test_resumed_in_the_middle_gives_the_remaining_batches(files: dict[str, Any]) -> None:
    options = {"max_train_rows": NUM_LABELLED, "unlabelled": "rest"}
    data = module(files, **options)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(1)
    batches, states = [], []
    for batch in loader:
        batches.append(batch)
        states.append(data.state_dict())
    resumed = module(files, **options)
    resumed.load_state_dict(states[2])
    rest = resumed.train_dataloader()
    rest.sampler.set_epoch(1)
    after = list(rest)
    assert len(after) == len(batches) - 3 == 5
    for one, other in zip(batches[3:], after, strict=True):
        assert one.keys() == other.keys()
        for key in ("input_ids", "index", "labels", "labelled", "task_weight"):
            assert torch.equal(one[key], other[key])


def test_two_processes_cover_all_rows_and_share_the_batches_of_one(files: dict[str, Any]) -> None:
    options = {"max_train_rows": NUM_LABELLED, "unlabelled": "rest"}
    one = [batch["index"].tolist() for batch in module(files, **options).train_dataloader()]
    ranks = []
    for rank in (0, 1):
        data = module(files, **options, train_batch_size=4)
        data._place = lambda rank=rank: (rank, 2)  # type: ignore[method-assign,misc]
        ranks.append([batch["index"].tolist() for batch in data.train_dataloader()])
    together = [sorted(a + b) for a, b in zip(*ranks, strict=True)]
    assert together == [sorted(batch) for batch in one]
    assert sorted(row for batch in together for row in batch) == list(range(NUM_ROWS))


def classifier(tiny_model: str, data: TextFilesDataModule) -> TextClassifier:
    model = TextClassifier(tiny_model, hidden_dropout=0.0, attention_dropout=0.0)
    model.build(data.task)
    return model


def loss_and_gradient(model: TextClassifier, batch: dict[str, Any]) -> tuple[float, Any]:
    inputs = {k: batch[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
    loss = model._task_loss(batch, model(**inputs))
    model.zero_grad()
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return loss.item(), torch.cat([g.flatten() for g in gradients])


def test_task_loss_is_the_mean_over_the_labelled_rows(
    files: dict[str, Any], tiny_model: str
) -> None:
    data = module(files, max_train_rows=NUM_LABELLED, unlabelled="rest")
    model = classifier(tiny_model, data)
    mixed = 0
    for batch in data.train_dataloader():
        known = batch["labelled"]
        if not known.any() or known.all():
            continue
        mixed += 1
        part = {k: v[known] for k, v in batch.items() if isinstance(v, torch.Tensor)}
        part = {k: v for k, v in part.items() if k not in ("task_weight", "labelled")}
        expected, expected_gradient = loss_and_gradient(model, part)
        loss, gradient = loss_and_gradient(model, batch)
        assert loss == pytest.approx(expected, rel=1e-5)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)
        # Neither does it matter which label stands in for the missing one.
        other = {**batch, "labels": torch.where(known, batch["labels"], 1)}
        assert torch.equal(loss_and_gradient(model, other)[1], gradient)
    assert mixed >= 5


def test_task_loss_of_a_batch_without_labels_is_exactly_zero(
    files: dict[str, Any], tiny_model: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "more.jsonl", rows_of(200, "book"))
    data = module(files, max_train_rows=4, unlabelled=path, train_batch_size=4)
    model = classifier(tiny_model, data)
    batch = next(batch for batch in data.train_dataloader() if not batch["labelled"].any())
    loss, gradient = loss_and_gradient(model, batch)
    assert loss == 0.0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_fit_counts_the_rows(
    files: dict[str, Any], tiny_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "more.jsonl", rows_of(13, "book"))
    model = TextClassifier(tiny_model)
    steps: list[float] = []
    model.objective.add("soft", lambda batch, out: steps.append(1) or out.logits.square().mean())
    data = TextFilesDataModule(
        **{**files, "tokenizer": None},
        unlabelled=path,
        augmentation=Augmentation(copies=2, num_neighbours=4),
    )
    trainer = Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        use_distributed_sampler=False,
    )
    with caplog.at_level("INFO"):
        trainer.fit(model, datamodule=data)
    augmented = data.num_unlabelled - 13
    assert f"train: 60 labelled, 13 unlabelled, {augmented} augmented rows" in caplog.text
    assert len(steps) == -(-(73 + augmented) // 8)


def test_validation_alone_reads_no_unlabelled_rows(files: dict[str, Any]) -> None:
    data = TextFilesDataModule(**files, unlabelled="none.csv")
    data.setup("validate")
    assert sum(len(batch["index"]) for batch in data.val_dataloader()[0]) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unlabelled": "rest"}, r"`data.max_train_rows` with `data.unlabelled: rest`.* got None"),
        ({"unlabelled": "rest", "max_train_rows": 60}, r"to leave out rows .* got 60 of 60"),
        ({"unlabelled": "more.csv", "streaming": True}, r"with `data.streaming: true`"),
        ({"augmentation": Augmentation(), "streaming": True}, r"with `data.streaming: true`"),
        ({"unlabelled": "none.csv"}, r"`data.unlabelled` to be a file, got 'none.csv'"),
        ({"unlabelled": "nobody/nothing"}, r"`data.unlabelled` to be `rest`, a file .*nothing"),
    ],
)
def test_refuses_contradictions(
    files: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        module(files, **options)


def test_refuses_a_file_without_the_text(files: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "more.jsonl", [{"review": "good"}])
    with pytest.raises(InputError, match=r"'text' \(`data.unlabelled`\), but .* are review"):
        module(files, unlabelled=path)
    path = write(tmp_path / "hole.jsonl", [{"text": "good"}, {"text": None}])
    with pytest.raises(InputError, match=r"text in the column 'text' of .*hole.jsonl, but row 2 "):
        module(files, unlabelled=path)


def test_refuses_a_folder_without_the_task(tiny_model: str, tmp_path: Path) -> None:
    data = GLUEDataModule("rte", dataset="embedded", tokenizer=tiny_model, unlabelled=str(tmp_path))
    with pytest.raises(InputError, match=r"folder .* \(`data.unlabelled`\) to hold rte's train"):
        data.setup("fit")


def test_lengths_are_grouped_over_labelled_and_unlabelled_rows(files: dict[str, Any]) -> None:
    data = module(files, max_train_rows=NUM_LABELLED, unlabelled="rest")
    batches = list(data.train_dataloader())
    padded = sum(batch["input_ids"].numel() for batch in batches)
    tokens = sum(batch["num_tokens"] for batch in batches)
    lengths = data.every_training_row().lengths
    assert tokens == lengths.sum()
    assert padded / tokens < 1.1 < NUM_ROWS * lengths.max() / tokens
    assert np.array_equal(np.sort(data.every_training_row().rows), np.arange(NUM_ROWS))
