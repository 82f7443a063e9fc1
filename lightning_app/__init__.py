"""Glint: fine-tune transformer text classifiers and make them small and fast."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from lightning_app.artifact.text_model import TextModel

__version__ = "0.1.0"


def load(folder: "str | PathLike[str]", threads: int | None = None) -> "TextModel":
    """Open a folder of `glint export`: no checkpoint, no network access, no Lightning.

    Everything in it is checked against its manifest first, and nothing in it is run as code.

    Args:
        folder: Written by `glint export`, in any format.
        threads: To compute with, at least 1; None leaves the choice to the runtime.

    Returns:
        ``model(["text"], ["pair"])`` answers ``[{"label", "score", "scores"}]``.

    Raises:
        InputError: If something was changed, is missing or does not belong there, or if the
            format's runtime is not installed.

    Example::

        model = lightning_app.load("exported", threads=2)
        model(["He ate the apple."], ["The apple was eaten by him."])
    """
    from lightning_app.artifact.loading import open_artifact

    return open_artifact(folder, threads)
