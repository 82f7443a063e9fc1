"""A file that is there whole or not at all."""

from pathlib import Path

from lightning_app.errors import InputError

UNFINISHED = ".unfinished"


def check_file(target: Path, argument: str) -> None:
    """Refuse a file that cannot be written, before minutes go into what it is to hold.

    Args:
        target: The file; its folder is made.
        argument: Where the user named it, for the message.

    Raises:
        InputError: If it is a folder, or nothing can be written beside it.
    """
    if target.is_dir():
        raise InputError(f"Expected `{argument}` to be a file, got the folder {str(target)!r}.")
    probe = target.with_name(target.name + UNFINISHED)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"Expected `{argument}` to be a file to write, got {str(target)!r}: {error.strerror}."
        ) from error


def write_whole(target: Path, content: bytes) -> None:
    """Write under another name, then rename.

    Raises:
        InputError: If it cannot be written.
    """
    unfinished = target.with_name(target.name + UNFINISHED)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"Expected to write {str(target)!r}, but: {error}.") from error
