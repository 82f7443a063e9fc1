"""Every callback in one process, in two with DDP, and in two with FSDP: the same comes out."""

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks.compression import Compression
from modules import TextClassifier
from tests.strategies import table
from tests.strategies.cases import ALIKE, FITS
from tests.strategies.run_cases import STEPS
from tests.tiny_fit import reviews_data

each_fit = pytest.mark.parametrize("name", FITS)
PRUNES_WEIGHTS = re.compile("magnitude|random|movement|second_order|structured_gradual|recipe$")
"""Fits that keep masks, by their beginnings."""
REFUSAL = (
    r"Expected a strategy with whole parameters for `callbacks\.\w+Pruning`, which ranks and zeroes"
    r" the entries of whole weights, got ShardedStrategy, which cuts them among the processes; use"
    r" `--config configs/trainer/ddp.yaml`\."
)


@pytest.fixture(scope="module")
def found(
    tiny_model: str, reviews: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return table.outcomes(tiny_model, reviews, tmp_path_factory.mktemp("fits"))


@each_fit
@pytest.mark.parametrize("column", ["ddp", "ddp<", "one<"])
def test_two_processes_make_what_one_makes(name: str, column: str, found: dict[str, Any]) -> None:
    """Masks, structure, metrics and weights, from the beginning and from the other's checkpoint."""
    assert table.verdict(found, column, name) == table.WORKS
    assert found["one-0"][name]["steps"] == STEPS


@each_fit
def test_on_shards_the_same_is_made_or_it_is_refused(name: str, found: dict[str, Any]) -> None:
    if PRUNES_WEIGHTS.match(name):
        for rank in ("fsdp-0", "fsdp-1"):
            assert re.fullmatch(REFUSAL, found[rank][name]["refused"])
    else:
        assert table.verdict(found, "fsdp", name) == table.WORKS


@each_fit
def test_the_callback_did_something(name: str, found: dict[str, Any]) -> None:
    """Or all would be equal for nothing."""
    fits = found["one-0"]
    plain = fits["learning_rate"]
    callbacks = FITS[name]()
    if any(isinstance(callback, Compression) for callback in callbacks):
        fit = fits[name]
        changed = fit["masks"], fit["architecture"]
        assert changed != (plain["masks"], plain["architecture"])
    others = [fits[other]["weights"] for other in fits if other.rstrip("<") != name]
    assert not any(table._is_close(fits[name]["weights"], weights, 0.0) for weights in others)


def test_the_table_in_the_docs_is_what_came_out(found: dict[str, Any]) -> None:
    assert table.documented() == table.table(found)


def test_what_differs_is_said(found: dict[str, Any]) -> None:
    """A comparison that finds nothing would show nothing."""
    other = copy.copy(found)
    for key in ("masks", "weights", "metrics", "architecture", "steps"):
        fit = copy.deepcopy(found["ddp-1"]["recipe"])
        _change(fit, key)
        other["ddp-1"] = {**found["ddp-1"], "recipe": fit}
        assert table.verdict(other, "ddp", "recipe") == f"differs: {key}"
    other["ddp-1"] = {**found["ddp-1"], "recipe": {"refused": "No."}}
    assert table.verdict(other, "ddp", "recipe").startswith("refused: ")


def test_a_spawned_process_gets_what_a_fit_is_made_of(tiny_model: str, reviews: Path) -> None:
    """`ddp_spawn` is DDP behind a pickle of the module, the data and the callbacks."""
    for make in FITS.values():
        for callback in pickle.loads(pickle.dumps(make())):
            assert callback.state_key
    model = pickle.loads(pickle.dumps(TextClassifier(tiny_model)))
    assert model.hparams["model_name_or_path"] == tiny_model
    assert pickle.loads(pickle.dumps(reviews_data(reviews))).train_batch_size == 4


def test_the_cases_left_out_are_cases() -> None:
    from tests.callbacks.all_callbacks import CASES

    assert {case.name for case in CASES} == ALIKE | set(FITS) - {"recipe", "recipe_quantized"}


def _change(fit: dict[str, Any], key: str) -> None:
    if key == "steps":
        fit["steps"] += 1
    elif key == "masks":
        mask = next(iter(fit["masks"]["MagnitudePruning"].values()))
        mask[0, 0] = ~mask[0, 0]
    elif key == "weights":
        next(w for w in fit["weights"].values() if w.dtype == torch.float64).view(-1)[0] += 1e-4
    elif key == "metrics":
        fit["metrics"]["val/loss"] += 1e-4
    else:
        fit["architecture"]["version"] += 1
