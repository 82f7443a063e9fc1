"""A checkpoint in PyTorch as `transformers` computes it: what an export is measured against."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.artifact.manifest import Manifest
    from lightning_app.artifact.text_model import TextModel

BASELINES = ("eager", "compile")

_PREFIX = "network."


def baseline_model(kind: str, checkpoint: Path, like: "Manifest", threads: int) -> "TextModel":
    """The checkpoint in float32, with the attention that `transformers` chooses.

    Args:
        kind: ``eager``, or ``compile`` for `torch.compile`.
        checkpoint: Of `glint fit`.
        like: An artifact's, for the maximum length and the padding.
        threads: To compute with.

    Raises:
        InputError: If it is no checkpoint of `glint fit`, or of another task.
    """
    import torch

    from lightning_app.artifact.text_model import TextModel
    from lightning_app.artifact.weights_network import WeightsNetwork
    from lightning_app.checkpoint import read_glint_checkpoint
    from modules.architecture import ArchitectureRecord

    contents = read_glint_checkpoint(checkpoint)
    # What training simulates of int8 is no part of a model in float32.
    record = replace(ArchitectureRecord.from_plain(contents["architecture"]), quantization=None)
    network: Any = record.build()
    network.load_state_dict(_weights(contents["state_dict"]))
    network.float().eval()
    manifest = _manifest(kind, network, contents, checkpoint, like)
    if kind == "compile":
        network = torch.compile(network)
    encoder = _encoder(contents["tokenizer"], manifest)
    return TextModel(checkpoint, manifest, encoder, WeightsNetwork(network, threads))


def _weights(state: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}


def _manifest(
    kind: str, network: Any, contents: dict[str, Any], checkpoint: Path, like: "Manifest"
) -> "Manifest":
    from lightning_app.artifact.integrity import file_entry
    from lightning_app.task import Task

    task = Task.from_plain(contents["task"])
    if (task.label_names, task.text_columns) != (like.task.label_names, like.task.text_columns):
        raise InputError(
            f"Expected `--ckpt_path` to be of the artifacts' task {like.task.name!r}, got"
            f" {str(checkpoint)!r} of {task.name!r}; choose the checkpoint that was exported."
        )
    parameters = list(network.parameters())
    return replace(
        like,
        format=kind,
        task=task,
        architecture=contents["architecture"],
        parameters=sum(p.numel() for p in parameters),
        nonzero_parameters=sum(int(p.count_nonzero()) for p in parameters),
        checkpoint={"file": checkpoint.name, "sha256": file_entry(checkpoint).sha256},
        files={},
    )


def _encoder(files: dict[str, str], manifest: "Manifest") -> Any:
    from lightning_app.artifact.formats import TOKENIZER
    from lightning_app.artifact.text_encoder import TextEncoder

    with TemporaryDirectory() as folder:
        file = Path(folder) / TOKENIZER
        file.write_text(files[TOKENIZER], "utf-8")
        return TextEncoder(file, manifest.max_seq_length, manifest.inputs, manifest.padding)
