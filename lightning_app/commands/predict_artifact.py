"""Answer a text with an artifact."""

from typing import Any


class PredictArtifact:
    """Answers a text, or a pair of texts, with a folder of `glint export`; no checkpoint, no
    configuration.

    Args:
        artifact: Folder of `glint export`.
        text: The text.
        text_pair: The second text of a pair.
        threads: To compute with; by default what the runtime chooses.
    """

    def __init__(
        self, artifact: str, text: str, text_pair: str | None = None, threads: int | None = None
    ) -> None:
        self.artifact = artifact
        self.text = text
        self.text_pair = text_pair
        self.threads = threads

    def run(self) -> dict[str, Any]:
        """The answer, as `lightning_app.load` gives it."""
        from lightning_app import load

        pairs = None if self.text_pair is None else [self.text_pair]
        return load(self.artifact, self.threads)([self.text], pairs)[0]
