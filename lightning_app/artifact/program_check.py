"""Read a `torch.export` archive without letting it run anything."""

import io
import json
import re
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_PROGRAM = "models/model.json"
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_PAYLOADS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
_MEMBERS = re.compile(
    r"data/(weights/weight|constants/tensor)_\d+|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
)
_NAME = re.compile(r"[\w.+-]*")
# Pure functions of tensors and numbers. `aten` has others: `from_file` opens files.
_OPERATORS = (
    r"__and__|__or__|_assert_tensor_metadata|_to_copy|abs|add_?|all|alias|amax|amin|any|arange|"
    r"bitwise_and|bitwise_not|bitwise_or|bmm|cat|ceil|chunk|clamp|clone|contiguous|cumsum|"
    r"detach|detach_|div|dropout|einsum|embedding|eq|erf|exp|expand|expand_as|flatten|floor|"
    r"full|full_like|gather|ge|gelu|gt|index|index_select|layer_norm|le|lerp|lift_fresh_copy|"
    r"linear|log|logical_and|logical_not|logical_or|lt|masked_fill|matmul|max|maximum|mean|min|"
    r"minimum|minus|mul|ne|neg|new_full|new_ones|new_zeros|ones|ones_like|permute|pow|"
    r"reciprocal|relu|relu_|repeat|reshape|rsqrt|rsub|scalar_tensor|"
    r"scaled_dot_product_attention|select|sigmoid|sign|silu|slice|softmax|split|"
    r"split_with_sizes|sqrt|squeeze|stack|sub|sum|sym_size|sym_stride|t|tanh|to|tril|triu|"
    r"transpose|type_as|unflatten|unsqueeze|view|view_as|where|zeros|zeros_like"
)
_TARGET = re.compile(
    rf"torch\.ops\.aten\.({_OPERATORS})\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|eq|ne|ge|le|gt|lt|and_|or_|getitem)"
    r"|torch\.sym_(max|min|not|int|float|sum)"
)
# PyTorch evaluates these: nothing but sums, products and comparisons of sizes.
_EXPRESSION = re.compile(
    r"(?:Symbol\('[su]\d+'|Integer|Add|Mul|Pow|Max|Min|Mod|FloorDiv|PythonMod|CleanDiv"
    r"|Eq|Ne|Ge|Le|Gt|Lt|positive=True|nonnegative=True|integer=True|[su]?\d+|[-+*(), ])*"
)
_TREE_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
# What else a program may carry: operators and graphs of other kinds, and objects.
_REFUSED_KEYS = frozenset({"as_operator", "as_graph", "as_custom_obj", "as_opaque"})
_MUST_BE_EMPTY = frozenset({"metadata", "guards_code"})
_TREES = frozenset({"in_spec", "out_spec"})


def read_program(content: bytes, name: str) -> "ExportedProgram":
    """Open a program of `torch.export.save`, as `glint export` leaves it.

    `torch.export.load` unpickles, evaluates expressions, and calls any function below ``torch`` by
    its name. So each part of the archive must be of a kind that cannot do this: raw weights, a
    graph of named pure operators, expressions of sizes; with no pickle, guards or sample inputs.
    It is read by the same reader, from the same bytes, as is then opened.

    Args:
        content: Of the file.
        name: Of the file, for messages.

    Raises:
        InputError: If the archive holds anything else.
    """
    from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

    try:
        with PT2ArchiveReader(io.BytesIO(content)) as archive:
            _check_archive(archive)
        # `torch.export.load` would try an older format, of pickles, where this fails.
        program = load_pt2(io.BytesIO(content)).exported_programs["model"]
    except Exception as error:  # readers of damaged archives raise many kinds
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"Expected a program of plain operators and weights in {name!r}, but: {reason}; it was"
            " not opened."
        ) from error
    return program


def _check_archive(archive: Any) -> None:
    names = archive.get_file_names()
    payloads = {*_PAYLOADS, _PROGRAM, _SAMPLE_INPUTS}
    for name in names:
        _require(name in payloads or _MEMBERS.fullmatch(name), f"it has a part {name!r}")
    _require(len(set(names)) == len(names), "it has a part twice")
    _require(not archive.read_bytes(_SAMPLE_INPUTS), "it has sample inputs, which are pickled")
    for name, pattern in _PAYLOADS.items():
        for entry in json.loads(archive.read_bytes(name))["config"].values():
            _require(entry["use_pickle"] is False, "it has pickled tensors")
            _require(pattern.fullmatch(entry["path_name"]), f"it names {entry['path_name']!r}")
    _check(json.loads(archive.read_bytes(_PROGRAM)), "")


def _check(value: Any, key: str) -> None:
    """Of any value in the program, by the name that it stands under."""
    if key in _MUST_BE_EMPTY:
        _require(not value, f"it has {key}")
    if key in _REFUSED_KEYS:
        _require(value is None, f"it has {key}")
    if isinstance(value, dict):
        for name, inner in value.items():
            _require(_NAME.fullmatch(name), f"it has the name {name!r}")
            _check(inner, name)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if key == "target":
        _require(_TARGET.fullmatch(text), f"it calls {text!r}")
    elif key == "expr_str":
        _require(_EXPRESSION.fullmatch(text), f"it has the expression {text!r}")
    elif key in _TREES:
        if text:
            _check_tree(json.loads(text))
    else:
        _require(_NAME.fullmatch(text), f"it has the text {text!r}")


def _check_tree(tree: Any) -> None:
    """How arguments are nested."""
    if isinstance(tree, list):
        for inner in tree:
            _check_tree(inner)
    elif isinstance(tree, dict):
        kind = tree["type"]
        _require(kind in _TREE_TYPES, f"it has arguments of type {kind!r}")
        _check_tree(tree["children_spec"])


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise ValueError(reason)
