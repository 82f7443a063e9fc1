"""Write a checkpoint as a folder that opens by itself, and check that it does."""

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.artifact.manifest import Manifest
    from lightning_app.artifact.text_model import TextModel
    from lightning_app.commands.run_facts import RunFacts
    from modules.text_classifier import TextClassifier

FormatName = Literal["hf", "torch", "onnx", "openvino", "onnx-int8", "openvino-int8"]

DEFAULT_LENGTH = 128
_PACKAGES = ("glint-text", "torch", "transformers", "tokenizers", "onnx", "onnxruntime", "openvino")


class Export:
    """Writes a checkpoint as a folder with everything that answers need: the network, the
    tokenizer, labels, maximum length, and a card and a manifest that say where it comes from.

    The folder is opened anew and its logits are compared with the checkpoint's before it takes its
    name; if they differ, there is no folder. Batch and sequence are open in every format.

    Args:
        ckpt_path: A checkpoint of `glint fit`.
        output: The folder to write.
        format: `hf`: safetensors, which plain `transformers` opens unless heads, FFN widths or
            operators were changed layer by layer. `torch`: a program of `torch.export`. `onnx`: for
            ONNX Runtime. `openvino`: for OpenVINO, the fastest on the CPUs that were tried.
            `onnx-int8`, `openvino-int8`: with the integers of a quantized checkpoint; the others
            leave its rounding out.
        overwrite: Replace an artifact that is there.
        max_seq_length: Longer inputs are cut, in tokens; by default that of the run, or 128.
        measure: Time the folder, a second for one row and one for 32, and say it in the card.
    """

    def __init__(
        self,
        ckpt_path: str,
        output: str,
        format: FormatName = "hf",
        overwrite: bool = False,
        max_seq_length: int | None = None,
        measure: bool = True,
    ) -> None:
        self.checkpoint = Path(ckpt_path)
        self.output = Path(output)
        self.format = format
        self.overwrite = overwrite
        self.max_seq_length = max_seq_length
        self.measure = measure
        if max_seq_length is not None and max_seq_length < 1:
            raise InputError(f"Expected `--max_seq_length` to be at least 1, got {max_seq_length}.")

    def run(self) -> "Manifest":
        """Write and check the folder.

        Raises:
            InputError: If the checkpoint cannot be opened, a package is missing, something is in
                the way, or the written model answers otherwise than the checkpoint.
        """
        from lightning_app.artifact.formats import format_named
        from lightning_app.commands.output_folder import check_output, whole_folder
        from lightning_app.optional_packages import require

        kind = format_named(self.format)
        require(kind.to_write, kind.group, f"`--format {self.format}`")
        check_output(self.output, self.overwrite)
        model, facts = self._open()
        with whole_folder(self.output) as folder:
            manifest = self._write(model, facts, folder)
            _check(folder)
            if self.measure:
                manifest = _write_measured_card(manifest, facts, folder)
        return manifest

    def _open(self) -> "tuple[TextClassifier, RunFacts]":
        from lightning_app.checkpoint import read_glint_checkpoint
        from lightning_app.commands.run_facts import RunFacts
        from modules.text_classifier import TextClassifier

        model = TextClassifier.load_from_checkpoint(self.checkpoint)
        assert model.network is not None
        model.float()
        step = read_glint_checkpoint(self.checkpoint).get("global_step")
        return model, RunFacts.of_checkpoint(self.checkpoint, step)

    def _write(self, model: "TextClassifier", facts: "RunFacts", folder: Path) -> "Manifest":
        from lightning_app.artifact.formats import CARD
        from lightning_app.artifact.integrity import file_entries
        from lightning_app.artifact.manifest import write_manifest
        from lightning_app.commands.artifact_writers import write_network
        from lightning_app.commands.model_card import model_card
        from lightning_app.commands.rounding import settle_rounding

        assert model.network is not None
        notes = settle_rounding(model, self.format)
        manifest = replace(self._manifest(model, facts), notes=notes)
        self._write_tokenizer(model, manifest.max_seq_length, folder)
        write_network(model.network, manifest, folder)
        (folder / CARD).write_text(model_card(manifest, facts, folder), "utf-8")
        manifest = replace(manifest, files=file_entries(folder))
        write_manifest(manifest, folder)
        return manifest

    def _manifest(self, model: "TextClassifier", facts: "RunFacts") -> "Manifest":
        from lightning_app.artifact.integrity import file_entry
        from lightning_app.artifact.manifest import Manifest, Padding
        from lightning_app.commands.export_samples import export_samples
        from lightning_app.commands.rounding import tolerance_of
        from lightning_app.optional_packages import installed_version
        from modules.base_model import check_length
        from modules.network_inputs import NETWORK_INPUTS

        assert model.network is not None
        assert model.task is not None
        assert model.architecture is not None
        length = self.max_seq_length or facts.max_seq_length or DEFAULT_LENGTH
        check_length(model.network, length)
        tokenizer: Any = model.tokenizer
        parameters = list(model.network.parameters())
        packages = {name: installed_version(name) for name in _PACKAGES}
        return Manifest(
            format=self.format,
            task=model.task,
            architecture=json.loads(json.dumps(model.architecture.as_plain())),
            layout=model.architecture.layout,
            max_seq_length=length,
            inputs=tuple(name for name in NETWORK_INPUTS if name in tokenizer.model_input_names),
            padding=Padding(
                tokenizer.pad_token_id, tokenizer.pad_token_type_id, tokenizer.padding_side
            ),
            parameters=sum(p.numel() for p in parameters),
            nonzero_parameters=sum(int(p.count_nonzero()) for p in parameters),
            checkpoint={
                "file": self.checkpoint.name,
                "sha256": file_entry(self.checkpoint).sha256,
            },
            samples=export_samples(model, length),
            tolerance=tolerance_of(model.architecture.quantization, self.format),
            versions={"python": platform.python_version(), **packages},
        )

    def _write_tokenizer(self, model: "TextClassifier", length: int, folder: Path) -> None:
        from lightning_app.artifact.formats import format_named
        from lightning_app.pretrained import tokenizer_files

        model.tokenizer.model_max_length = length  # at which a `pipeline` cuts
        for name, text in tokenizer_files(model.tokenizer).items():
            if name in format_named(self.format).known_files:
                (folder / name).write_text(text, "utf-8")


def _write_measured_card(manifest: "Manifest", facts: "RunFacts", folder: Path) -> "Manifest":
    """The card again, with what could be measured only of the whole folder; and the manifest, which
    has its hash."""
    from lightning_app.artifact.formats import CARD
    from lightning_app.artifact.integrity import file_entry
    from lightning_app.artifact.manifest import MANIFEST, write_manifest
    from lightning_app.commands.export_speed import measure_speed
    from lightning_app.commands.model_card import model_card

    speed = measure_speed(folder)
    for name in (CARD, MANIFEST):
        (folder / name).unlink()  # the card lists what else is there
    (folder / CARD).write_text(model_card(manifest, facts, folder, speed), "utf-8")
    manifest = replace(manifest, files={**manifest.files, CARD: file_entry(folder / CARD)})
    write_manifest(manifest, folder)
    return manifest


def _check(folder: Path) -> None:
    """Open the folder as any user would, and compare."""
    from lightning_app.artifact.loading import open_artifact

    model = open_artifact(folder)
    for batch_size in (1, len(model.manifest.samples)):
        _check_difference(model, model.difference_from_checkpoint(batch_size), "it")
    if model.manifest.format == "hf" and model.manifest.is_plain_transformers:
        _check_difference(model, _difference_in_transformers(model), "plain `transformers`")


def _check_difference(model: "TextModel", difference: float, reader: str) -> None:
    tolerance = model.manifest.tolerance
    if difference > tolerance:
        raise InputError(
            f"Expected the exported model to answer as the checkpoint does, to {tolerance:g} of its"
            f" largest logit, but {reader} differs by {difference:.2g}; nothing was written:"
            " choose another format, and report it."
        )


def _difference_in_transformers(model: "TextModel") -> float:
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from lightning_app.artifact.text_model import columns_of, relative_difference

    samples = model.manifest.samples
    tokenizer: Any = AutoTokenizer.from_pretrained(model.folder, trust_remote_code=False)
    with _no_progress_bar():
        network: Any = AutoModelForSequenceClassification.from_pretrained(
            model.folder, trust_remote_code=False, use_safetensors=True
        )
    columns = [column for column in columns_of(samples) if column is not None]
    encoded = tokenizer(*columns, truncation=True, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = network.eval()(**encoded).logits.numpy()
    return relative_difference(logits, np.array([sample.logits for sample in samples]))


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
