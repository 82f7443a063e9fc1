"""What was changed, is missing or does not belong there is refused, and never run."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_app
from lightning_app.artifact.formats import FORMATS
from lightning_app.artifact.integrity import file_entry
from lightning_app.artifact.manifest import ARTIFACT_VERSION, MANIFEST
from lightning_app.commands.export import Export
from lightning_app.errors import InputError
from tests.lightning_app.artifact.tiny_checkpoint import built, needs, quantize, saved, task

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies an object of which torch 2.13 has deprecated the name.
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)


@pytest.fixture(scope="module")
def exported(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder a format, written when it is asked for."""
    root = tmp_path_factory.mktemp("exported")
    model = built(tiny_model, task("no", "yes", columns=1))
    checkpoint = saved(model, root / "x.ckpt")
    quantize(model, "static")
    quantized = saved(model, root / "quantized.ckpt")

    def of_format(format: Any) -> Path:
        needs(format)
        if not (root / format).exists():
            source = quantized if FORMATS[format].is_int8 else checkpoint
            Export(str(source), str(root / format), format, measure=False).run()
        return root / format

    return of_format


@pytest.fixture
def folder(exported: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported("hf"), tmp_path / "artifact"))


def change_byte(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def rewrite_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """As one would who knows how the hash is made."""
    plain = json.loads((folder / MANIFEST).read_text())
    del plain["manifest_sha256"]
    change(plain)
    text = json.dumps(plain, sort_keys=True)
    plain["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(plain))


def list_file(folder: Path, name: str) -> None:
    entry = file_entry(folder / name)
    rewrite_manifest(folder, lambda plain: plain["files"].update({name: vars(entry)}))


def assert_refused(folder: Path, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        lightning_app.load(folder)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("Expected")


class Bomb:
    """Leaves a mark if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("format", FORMATS)
def test_one_bit_of_any_file_is_noticed(
    format: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    original = exported(format)
    for file in sorted(path.name for path in original.iterdir() if path.name != MANIFEST):
        for share in (0.0, 0.5, 0.999):
            folder = Path(shutil.copytree(original, tmp_path / "artifact"))
            change_byte(folder / file, int(share * (folder / file).stat().st_size))
            assert_refused(
                folder, rf"Expected '.*{file}' as `glint export` wrote it, .*it was changed"
            )
            shutil.rmtree(folder)


def test_a_changed_manifest_is_noticed(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    for old, new in (('"yes"', '"Yes"'), ('"max_seq_length": 128', '"max_seq_length": 127')):
        assert old in text
        (folder / MANIFEST).write_text(text.replace(old, new))
        assert_refused(
            folder, r"manifest.json' as `glint export` wrote it, but it was changed or damaged"
        )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"artifact_version": 1}'])
def test_a_manifest_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(text)
    assert_refused(folder, "manifest.json' as `glint export` wrote it")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "README.md"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    assert_refused(folder, f"Expected {name} in '.*', which manifest.json lists, but it is missing")


def test_a_manifest_that_lists_too_little_is_refused(folder: Path) -> None:
    rewrite_manifest(folder, lambda plain: plain["files"].pop("tokenizer.json"))
    (folder / "tokenizer.json").unlink()
    assert_refused(folder, "to list tokenizer.json, which an artifact of format hf needs")


def test_a_cut_file_is_named_with_its_sizes(folder: Path) -> None:
    file = folder / "model.safetensors"
    size = file.stat().st_size
    os.truncate(file, size - 8)
    assert_refused(folder, rf"Expected {size:,} bytes in '.*model.safetensors', got {size - 8:,}")


@pytest.mark.parametrize("version", [ARTIFACT_VERSION + 1, 0, "1", None])
def test_another_version_is_refused(version: Any, folder: Path) -> None:
    rewrite_manifest(folder, lambda plain: plain.update(artifact_version=version))
    assert_refused(folder, f"an artifact of version {ARTIFACT_VERSION}, got version {version!r}")


def test_an_unknown_format_is_refused(folder: Path) -> None:
    rewrite_manifest(folder, lambda plain: plain.update(format="pickle"))
    assert_refused(
        folder, "a format among hf, torch, onnx, openvino, onnx-int8, openvino-int8, got"
    )


@pytest.mark.parametrize(
    "name", ["../x.ckpt", "/etc/passwd", "sub/model.safetensors", "..", "a\\b", "."]
)
def test_a_path_that_leaves_the_folder_is_refused(name: str, folder: Path) -> None:
    entry = {"size": 1, "sha256": "0" * 64}
    rewrite_manifest(folder, lambda plain: plain["files"].update({name: entry}))
    assert_refused(folder, "which leads out of the folder; it was not opened")


def test_a_link_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "model.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    assert_refused(folder, "'model.safetensors' in '.*' to be a file, got a link or a folder")


def test_a_manifest_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).rename(tmp_path / MANIFEST)
    (folder / MANIFEST).symlink_to(tmp_path / MANIFEST)
    assert_refused(folder, "which has no manifest.json")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    assert_refused(
        tmp_path, "a folder written by `glint export`, got '.*', which has no manifest.json"
    )
    assert_refused(tmp_path / "absent", "which has no manifest.json")


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "evil.pkl", "modeling_evil.py"])
def test_a_pickle_or_code_beside_the_model_is_refused(
    name: str, listed: bool, folder: Path, tmp_path: Path
) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "mark")))
    if listed:
        list_file(folder, name)
    assert_refused(
        folder, f"got {name!r}, which does not belong" if listed else f"got {name!r} too"
    )
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("as_torch", [False, True])
def test_a_pickle_in_place_of_the_model_is_not_run(
    format: str, as_torch: bool, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported(format), tmp_path / "artifact"))
    for name in FORMATS[format].model_files:
        bomb = Bomb(tmp_path / "mark")
        if as_torch:
            torch.save(bomb, folder / name)
        else:
            (folder / name).write_bytes(pickle.dumps(bomb))
        list_file(folder, name)
    assert_refused(folder, "Expected .*model.*, but: ")
    assert not (tmp_path / "mark").exists()


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 1}')
    list_file(folder, "tokenizer.json")
    assert_refused(folder, "Expected a tokenizer in '.*tokenizer.json', but: ")


def test_a_configuration_that_names_code_is_built_without_it(folder: Path) -> None:
    before = lightning_app.load(folder).logits(["the film was good"])

    def name_code(plain: dict[str, Any]) -> None:
        plain["architecture"]["config"].update(
            auto_map={"AutoModelForSequenceClassification": "evil--modeling_evil.Evil"},
            _attn_implementation="evil/kernels",
            attn_implementation="evil/kernels",
            quantization_config={"quant_method": "gptq"},
        )

    rewrite_manifest(folder, name_code)
    assert (lightning_app.load(folder).logits(["the film was good"]) == before).all()


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    rewrite_manifest(
        folder, lambda plain: plain["architecture"]["config"].update(intermediate_size=50)
    )
    assert_refused(folder, "in '.*model.safetensors' the weights of the network that the manifest")


def test_no_tampering_no_complaint(folder: Path) -> None:
    assert lightning_app.load(folder).difference_from_checkpoint() < 1e-5
