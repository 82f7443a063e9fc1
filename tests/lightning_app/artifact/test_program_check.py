"""A `torch.export` archive can name any function and carry pickles: ours must not."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_app.artifact.program_check import read_program
from lightning_app.commands.exported_program import export_program, program_bytes
from lightning_app.errors import InputError
from tests.lightning_app.artifact.test_integrity import Bomb
from tests.lightning_app.artifact.tiny_checkpoint import built, task

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
INPUTS = ("input_ids", "attention_mask")


@pytest.fixture(scope="module")
def content(tiny_model: str) -> bytes:
    network = built(tiny_model, task("no", "yes")).network
    assert network is not None
    return program_bytes(export_program(network, INPUTS, 128))


def changed(content: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with one part changed, or added."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        root = source.namelist()[0].partition("/")[0]
        found = False
        for name in source.namelist():
            part = source.read(name)
            if name == f"{root}/{member}":
                part, found = change(part), True
            archive.writestr(name, part)
        if not found:
            archive.writestr(f"{root}/{member}", change(b""))
    return target.getvalue()


def changed_json(content: bytes, member: str, change: Callable[[Any], None]) -> bytes:
    def rewrite(part: bytes) -> bytes:
        plain = json.loads(part)
        change(plain)
        return json.dumps(plain).encode()

    return changed(content, member, rewrite)


def assert_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=rf"in 'a.pt2', but: {reason}.*; it was not opened"):
        read_program(content, "a.pt2")


def nodes(plain: Any) -> Any:
    return plain["graph_module"]["graph"]["nodes"]


def test_what_export_writes_is_read_and_rewriting_it_changes_nothing(content: bytes) -> None:
    ids = torch.arange(5, 12).view(1, 7)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    again = changed(content, PROGRAM, lambda part: part)
    first, second = (read_program(c, "a.pt2").module()(**inputs) for c in (content, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.profiler._record_function_enter_new.default",
        "_operator.attrgetter",
        "math.prod",
        "#evil:op",
    ],
)
def test_a_function_that_is_no_plain_operator_is_refused(target: str, content: bytes) -> None:
    def call(plain: Any) -> None:
        nodes(plain)[0]["target"] = target

    assert_refused(changed_json(content, PROGRAM, call), f"it calls '{target}'")


@pytest.mark.parametrize(
    "expression",
    ["__import__('os').mkdir('mark')", "Symbol('s1').__class__", "[].append(1)", "lambda: 0"],
)
def test_an_expression_that_is_no_arithmetic_is_refused(expression: str, content: bytes) -> None:
    def state(plain: Any) -> None:
        values = plain["graph_module"]["graph"]["sym_int_values"]
        next(iter(values.values()))["as_expr"]["expr_str"] = expression

    assert "sym_int_values" in json.loads(part_of(content, PROGRAM))["graph_module"]["graph"]
    assert_refused(changed_json(content, PROGRAM, state), "it has the expression")


def part_of(content: bytes, member: str) -> bytes:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return archive.read(f"{archive.namelist()[0].partition('/')[0]}/{member}")


def test_guards_and_metadata_are_refused(content: bytes) -> None:
    guard = "__import__('os').mkdir('mark')"
    assert_refused(
        changed_json(content, PROGRAM, lambda plain: plain.update(guards_code=[guard])),
        "it has guards_code",
    )

    def note(plain: Any) -> None:
        nodes(plain)[0]["metadata"] = {"torch_fn": "a;b"}

    assert_refused(changed_json(content, PROGRAM, note), "it has metadata")


def test_a_name_that_is_code_is_refused(content: bytes) -> None:
    def rename(plain: Any) -> None:
        nodes(plain)[0]["inputs"][0]["name"] = "self)\nimport os"

    assert_refused(changed_json(content, PROGRAM, rename), "it has the text")


def test_arguments_of_other_types_are_refused(content: bytes) -> None:
    def nest(plain: Any) -> None:
        spec = json.dumps([1, {"type": "os.Evil", "context": "null", "children_spec": []}])
        plain["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = spec

    assert_refused(changed_json(content, PROGRAM, nest), "it has arguments of type 'os.Evil'")


@pytest.mark.parametrize(
    "member",
    ["data/sample_inputs/model.pt", "data/weights/model.pt", "data/constants/opaque_obj_0"],
)
def test_a_pickle_in_the_archive_is_not_run(member: str, content: bytes, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "mark"))
    assert_refused(changed(content, member, lambda part: bomb), "it has ")
    assert not (tmp_path / "mark").exists()


def test_pickled_weights_are_not_run(content: bytes, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(Bomb(tmp_path / "mark"), buffer)

    def say_pickled(plain: Any) -> None:
        for entry in plain["config"].values():
            entry["use_pickle"] = True

    bomb = changed(content, "data/weights/weight_0", lambda part: buffer.getvalue())
    assert_refused(changed_json(bomb, WEIGHTS, say_pickled), "it has pickled tensors")
    assert not (tmp_path / "mark").exists()


def test_the_archive_of_an_older_torch_is_refused(content: bytes, tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("version", "1.0")
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_example_inputs.pt", pickle.dumps(Bomb(tmp_path / "mark")))
    assert_refused(target.getvalue(), "")
    assert not (tmp_path / "mark").exists()


def test_the_test_would_notice_a_bomb(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").is_dir()
