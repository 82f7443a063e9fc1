"""Check an exported folder against its manifest before anything in it is opened."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from lightning_app.artifact.formats import Format, format_named
from lightning_app.artifact.manifest import MANIFEST, FileEntry, Manifest
from lightning_app.errors import InputError


def file_entry(file: Path) -> FileEntry:
    """Size and SHA-256 of a file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(file.stat().st_size, digest)


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Of all files in a folder but the manifest, by name."""
    return {path.name: file_entry(path) for path in sorted(folder.iterdir())}


def check_files(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder in which a file is missing, too many, or not what it was.

    The hashes tell damage and carelessness; who changes a file can change its hash, too. That
    nothing is run as code does not rest on them: the names that are allowed are of formats that
    hold no code, and `lightning_app.artifact` opens each with a reader that runs none.

    Raises:
        InputError: With the file and what is wrong with it.
    """
    kind = format_named(manifest.format)
    _check_names(manifest.files, kind, manifest.format, folder)
    _check_nothing_else(folder, manifest)
    for name, expected in manifest.files.items():
        _check_file(folder / name, expected)


def _check_names(names: Iterable[str], kind: Format, format_name: str, folder: Path) -> None:
    for name in names:
        if name in (".", "..") or {"/", "\\", "\0"} & set(name) or Path(name).name != name:
            raise InputError(
                f"Expected file names in {MANIFEST} of {str(folder)!r}, got {name!r}, which leads"
                " out of the folder; it was not opened."
            )
        if name not in kind.known_files:
            raise InputError(
                f"Expected {', '.join(sorted(kind.known_files))} in the artifact {str(folder)!r} of"
                f" format {format_name}, got {name!r}, which does not belong there; it was not"
                " opened."
            )
    absent = kind.required_files - set(names)
    if absent:
        raise InputError(
            f"Expected {MANIFEST} of {str(folder)!r} to list {', '.join(sorted(absent))}, which an"
            f" artifact of format {format_name} needs; export again."
        )


def _check_nothing_else(folder: Path, manifest: Manifest) -> None:
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    for name, is_plain_file in sorted(found.items()):
        if name not in manifest.files and name != MANIFEST:
            raise InputError(
                f"Expected only the files that {MANIFEST} lists in {str(folder)!r}, got {name!r}"
                " too; take it away."
            )
        if not is_plain_file:
            raise InputError(
                f"Expected {name!r} in {str(folder)!r} to be a file, got a link or a folder;"
                " copy the artifact with its contents."
            )
    absent = set(manifest.files) - set(found)
    if absent:
        raise InputError(
            f"Expected {', '.join(sorted(absent))} in {str(folder)!r}, which {MANIFEST} lists, but"
            " it is missing; copy it again, or export again."
        )


def _check_file(file: Path, expected: FileEntry) -> None:
    size = file.stat().st_size
    if size != expected.size:
        raise InputError(
            f"Expected {expected.size:,} bytes in {str(file)!r}, got {size:,}: it was changed;"
            " copy it again, or export again."
        )
    if file_entry(file) != expected:
        raise InputError(
            f"Expected {str(file)!r} as `glint export` wrote it, but its SHA-256 is another: it was"
            " changed; copy it again, or export again."
        )
