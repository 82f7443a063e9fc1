"""The folder of an export."""

from pathlib import Path

from lightning_app.artifact.manifest import MANIFEST, read_manifest
from lightning_app.report.findings import Findings, Model
from lightning_app.report.shapes import shape_of_record

_MB = 10**6


def is_artifact(folder: Path) -> bool:
    """Whether `glint export` has written it."""
    return (folder / MANIFEST).is_file()


def read_artifact(folder: Path, name: str) -> Findings:
    """What the manifest says.

    Args:
        folder: Of `glint export`.
        name: For the reader.

    Raises:
        InputError: If the manifest was changed.
    """
    manifest = read_manifest(folder)
    model = Model(
        name=name,
        source=name,
        task=manifest.task.name,
        format=manifest.format,
        size_mb=manifest.size / _MB,
        parameters=manifest.parameters,
        nonzero_share=manifest.nonzero_parameters / manifest.parameters,
        artifact=folder,
    )
    shape = shape_of_record(model.label, manifest.architecture)
    return Findings(
        sources=((name, "artifact"),),
        models=(model,),
        shapes=() if shape is None else (shape,),
        facts={"task": manifest.task.name},
        notes=tuple(f"{name}: {note}" for note in manifest.notes),
    )
