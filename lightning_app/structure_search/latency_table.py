"""How long a forward call takes by the shapes of the layers: measured here, once."""

from collections.abc import Callable, Sequence
from pathlib import Path

from modules.architecture import ArchitectureRecord, LayerShape


class LatencyTable:
    """Predicts one forward call of a network of any structure, on this machine in this runtime."""

    @classmethod
    def open_or_measure(
        cls,
        base: ArchitectureRecord,
        runtime: str,
        threads: int,
        batch_size: int = 1,
        say: Callable[[str], None] = print,
        longest: int = 128,
        root: Path | None = None,
        show_progress: bool = False,
    ) -> "LatencyTable":
        """Read the table from the cache, or measure it: some two minutes for MiniLM.

        Args:
            base: The record of the model before it is made smaller (its `config` counts).
            runtime: A format of `glint export`: ``hf`` (eager), ``torch``, ``onnx``, ``openvino``,
                ``onnx-int8``, ``openvino-int8``.
            threads: To compute with.
            batch_size: Rows of a call.
            say: Is told what is measured and where it is kept.
            longest: Longest input that will be asked for, in tokens.
            root: Folder of the tables; by default `latency` in Glint's cache.
            show_progress: On the terminal.
        """
        raise NotImplementedError

    def predict(self, shapes: Sequence[LayerShape], length: int | Sequence[int]) -> float:
        """Milliseconds of one call.

        Args:
            shapes: Of the layers that are left, bottom first.
            length: Tokens of each row; a sequence for the mean over calls of these lengths, which
                change from call to call as a task's do.
        """
        raise NotImplementedError

    def layer_options(self) -> list[tuple[int, int]]:
        """(heads, width) that were measured, dense first."""
        raise NotImplementedError
