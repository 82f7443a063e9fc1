"""Glint: fine-tune transformer text classifiers and make them small and fast."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from lightning_app.artifact.text_model import TextModel

__version__ = "0.1.0"


def load(
    folder: "str | PathLike[str]", threads: int | None = None, max_copies: int = 8
) -> "TextModel":
    """Open a folder of `glint export`: no checkpoint, no network access, no Lightning.

    Everything in it is checked against its manifest first, and nothing in it is run as code.

    Args:
        folder: Written by `glint export`, in any format.
        threads: To compute with, at least 1; None leaves the choice to the runtime.
        max_copies: Of an OpenVINO model, in [0, 8]. When single rows of one length, up to a
            multiple of 16 and to 128 tokens, have been asked for 16 times, a copy of the model is
            compiled for that length (a third of a second), which is faster. Each takes about 1.4
            times the file's size in memory; of large files there are fewer, within 512 MB.

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

    return open_artifact(folder, threads, max_copies)
