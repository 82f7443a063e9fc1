"""`manifest.json`: what an exported folder holds, as plain data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightning_app.errors import InputError
from lightning_app.task import Task

ARTIFACT_VERSION = 1
"""Of the folder's layout: raise it when what was written before can no longer be read."""

MANIFEST = "manifest.json"
_OWN_HASH = "manifest_sha256"


@dataclass(frozen=True)
class FileEntry:
    """What a file was when it was written.

    Args:
        size: In bytes.
        sha256: In hexadecimal.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class Sample:
    """A row, and what the checkpoint answers.

    Args:
        texts: One text, or the two of a pair.
        logits: ``[num_labels]``.
    """

    texts: tuple[str, ...]
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Padding:
    """How rows of a batch are brought to one length.

    Args:
        token: Number of the padding token.
        type_token: Its token type.
        side: Where it goes.
    """

    token: int
    type_token: int
    side: Literal["left", "right"]

    def value(self, name: str) -> int:
        """What an input of this name is filled up with."""
        values = {"input_ids": self.token, "attention_mask": 0, "token_type_ids": self.type_token}
        return values[name]


@dataclass(frozen=True)
class Manifest:
    """What an exported folder holds.

    Args:
        format: A name in `lightning_app.artifact.formats.FORMATS`.
        task: With the label names in the order of the logits.
        architecture: The architecture record, plain.
        layout: Of that record; ``hf_uniform`` opens in plain `transformers`.
        max_seq_length: Longer inputs are cut, in tokens.
        inputs: What the network reads, in order.
        padding: Of a batch.
        parameters: Of the network.
        nonzero_parameters: Of these.
        checkpoint: ``file`` and ``sha256`` of what was exported.
        samples: Inputs with the checkpoint's logits.
        tolerance: That these may be missed by, as in `Format`.
        notes: What to know before it is used, a sentence each.
        versions: Of the packages that wrote it.
        files: All files but the manifest, by name.
    """

    format: str
    task: Task
    architecture: Mapping[str, Any]
    layout: str
    max_seq_length: int
    inputs: tuple[str, ...]
    padding: Padding
    parameters: int
    nonzero_parameters: int
    checkpoint: Mapping[str, str]
    samples: tuple[Sample, ...]
    tolerance: float
    versions: Mapping[str, str | None]
    notes: tuple[str, ...] = ()
    files: Mapping[str, FileEntry] = field(default_factory=dict)

    @property
    def is_plain_transformers(self) -> bool:
        """Whether a `transformers` configuration says all of the network."""
        return self.layout == "hf_uniform"

    @property
    def schemes(self) -> frozenset[str]:
        """Of the quantization in the record, by which its modules are rounded."""
        quantization = self.architecture.get("quantization") or {"modules": {}}
        return frozenset(module["scheme"] for module in quantization["modules"].values())

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(entry.size for entry in self.files.values())

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        plain = {**asdict(self), "task": self.task.as_plain()}
        return {"artifact_version": ARTIFACT_VERSION, **plain}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Manifest":
        """Rebuild a manifest from :meth:`as_plain`."""
        values = {key: value for key, value in plain.items() if key != "artifact_version"}
        values["task"] = Task.from_plain(values["task"])
        values["inputs"] = tuple(map(str, values["inputs"]))
        values["padding"] = Padding(**values["padding"])
        values["samples"] = tuple(
            Sample(tuple(s["texts"]), tuple(map(float, s["logits"]))) for s in values["samples"]
        )
        values["notes"] = tuple(map(str, values.get("notes", ())))
        values["files"] = {name: FileEntry(**entry) for name, entry in values["files"].items()}
        manifest = cls(**values)
        assert isinstance(manifest.schemes, frozenset)  # or it raises, while damage is looked for
        return manifest


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json`, which ends with the hash of what stands in it."""
    plain = manifest.as_plain()
    text = json.dumps({**plain, _OWN_HASH: _hash(plain)}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an exported folder.

    Raises:
        InputError: If there is none, or it was changed, or another version wrote it.
    """
    file = folder / MANIFEST
    if not file.is_file() or file.is_symlink():
        raise InputError(
            f"Expected a folder written by `glint export`, got {str(folder)!r}, which has no"
            f" {MANIFEST}."
        )
    try:
        plain = json.loads(file.read_text("utf-8"))
        version, stated = plain["artifact_version"], plain.pop(_OWN_HASH)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file) from error
    if version != ARTIFACT_VERSION:
        raise InputError(
            f"Expected an artifact of version {ARTIFACT_VERSION}, got version {version!r} in"
            f" {str(file)!r}; export it again with this Glint, or open it with the one that wrote"
            " it."
        )
    if stated != _hash(plain):
        raise _damaged(file)
    try:
        return Manifest.from_plain(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(file) from error


def _hash(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _damaged(file: Path) -> InputError:
    return InputError(
        f"Expected {str(file)!r} as `glint export` wrote it, but it was changed or damaged; export"
        " again."
    )
