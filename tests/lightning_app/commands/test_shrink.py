"""A target of megabytes is one of the folder that ships."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from lightning_app.artifact.formats import FORMATS
from lightning_app.commands.export import Export
from lightning_app.commands.shrink import _GRAPH_BYTES_OF_LAYER, Shrink
from lightning_app.commands.shrink_text import next_command
from lightning_app.errors import InputError
from modules import TextClassifier
from tests.lightning_app.artifact.tiny_checkpoint import FLOAT_FORMATS, built, needs, saved, task
from tests.tiny_bert import save_bert
from tests.tiny_fit import reviews_data

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)


@pytest.mark.parametrize("format", FLOAT_FORMATS)
def test_a_folder_is_within_its_megabytes(
    format: Any, tiny_model: str, reviews: Path, tmp_path: Path
) -> None:
    needs(format)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    base = save_bert(tmp_path / "base", tokenizer, 0, intermediate_size=4096)
    whole = saved(built(base, task("no", "yes", columns=1)), tmp_path / "whole.ckpt")
    before = Export(str(whole), str(tmp_path / "whole"), format).run().size
    wanted = before // 2
    model = TextClassifier.load_from_checkpoint(whole)
    data = reviews_data(reviews, tokenizer=tiny_model)
    options: dict[str, Any] = {"num_candidates": 2, "recovery_steps": 0, "runtime": format}
    result = Shrink(size_mb=wanted / 1e6, **options).shrink(model, data)
    assert result.choice.meets_budget
    small = saved(model, tmp_path / "small.ckpt")
    after = Export(str(small), str(tmp_path / "small"), format).run().size
    assert 0.75 * wanted < after <= wanted


@pytest.mark.parametrize(
    ("runtime", "following"),
    [
        ("openvino-int8", "glint quantize --config c.yaml --ckpt_path best.ckpt"),
        ("onnx", "glint export --ckpt_path best.ckpt --format onnx --output DIR"),
    ],
)
def test_a_model_within_the_budget_stays_whole_and_needs_no_training(
    runtime: str, following: str, tiny_model: str, reviews: Path
) -> None:
    model = built(tiny_model, task("no", "yes", columns=1))
    data = reviews_data(reviews, tokenizer=tiny_model)
    shrink = Shrink(parameters=10**9, runtime=runtime)
    paths = (Path("shrunk.ckpt"), Path("best.ckpt"))
    whole = shrink.shrink(model, data)
    assert whole.choice.parameters == whole.parameters_before
    assert next_command(whole, runtime, "c.yaml", *paths) == following
    half = Shrink(parameters=whole.parameters_before - 1000, runtime=runtime, recovery_steps=0)
    small = half.shrink(model, data)
    assert small.choice.parameters < small.parameters_before
    assert next_command(small, runtime, "c.yaml", *paths).startswith("glint fit --config c.yaml")


@pytest.mark.parametrize(("batch_size", "lengths"), [(1, [4, 5, 6, 9, 12]), (2, [5, 9, 12])])
def test_the_tasks_lengths_are_those_of_validation_rows(
    batch_size: int, lengths: list[int], tiny_model: str, tmp_path: Path
) -> None:
    rows = {"train": [1] * 8, "validation": [10, 2, 4, 7, 3]}
    for split, words in rows.items():
        lines = [f"{'good ' * n},{'yes' if i % 2 else 'no'}" for i, n in enumerate(words)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    data = reviews_data(tmp_path, tokenizer=tiny_model)
    data.setup("fit")
    assert Shrink(parameters=10**9, batch_size=batch_size)._lengths(data) == lengths


def test_the_graph_of_every_format_is_known() -> None:
    assert set(_GRAPH_BYTES_OF_LAYER) == set(FORMATS)


def test_what_is_beside_the_weights_is_no_target(tiny_model: str, reviews: Path) -> None:
    model = built(tiny_model, task("no", "yes", columns=1))
    data = reviews_data(reviews, tokenizer=tiny_model)
    with pytest.raises(InputError, match=r"`shrink.size_mb` to be above 0\.\d+, which tokenizer"):
        Shrink(size_mb=0.01, runtime="openvino").shrink(model, data)
