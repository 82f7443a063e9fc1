"""Answer a text, or the rows of a file, with an artifact."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError

if TYPE_CHECKING:
    from lightning_app.artifact.text_model import TextModel
    from lightning_app.commands.task_rows import TaskRows


class PredictArtifact:
    """Answers with a folder of `glint export`: a text, a pair of texts, all rows of a file, or
    GLUE's test sets; no checkpoint, no configuration.

    Args:
        artifact: Folder of `glint export`.
        text: A text, to answer on the terminal.
        text_pair: The second text of a pair.
        data: In place of a text: a CSV, TSV, JSON Lines or Parquet file with the task's text
            columns, or a folder with GLUE in the hub's layout, for submission files.
        output: With `--data`: the file to write (tab-separated: index, prediction, and each
            label's score); of a GLUE folder, the folder for the submission files.
        task_name: With a GLUE folder: which task, by default the artifact's; `ax` is answered by
            a model of mnli.
        threads: To compute with; by default what the runtime chooses.
        batch_size: Rows that are computed at once.
    """

    def __init__(
        self,
        artifact: str,
        text: str | None = None,
        text_pair: str | None = None,
        data: str | None = None,
        output: str | None = None,
        task_name: str | None = None,
        threads: int | None = None,
        batch_size: int = 32,
    ) -> None:
        self.artifact = artifact
        self.text = text
        self.text_pair = text_pair
        self.data = data
        self.output = output
        self.task_name = task_name
        self.threads = threads
        self.batch_size = batch_size
        self._check_arguments()

    def answer(self) -> dict[str, Any]:
        """For `text`, as `lightning_app.load` gives it."""
        from lightning_app import load

        assert self.text is not None
        pairs = None if self.text_pair is None else [self.text_pair]
        return load(self.artifact, self.threads)([self.text], pairs)[0]

    def write(self) -> list[Path]:
        """Write the predictions of `data`, and return the files.

        Raises:
            InputError: If rows or artifact cannot be read, or a file cannot be written.
        """
        from lightning_app import load
        from lightning_app.commands.whole_file import check_file, write_whole
        from modules.prediction_lines import file_text

        assert self.data is not None
        assert self.output is not None
        model = load(self.artifact, self.threads)
        parts = self._parts(model)
        for file in parts:
            check_file(file, "--output")
        for file, (rows, answer) in parts.items():
            write_whole(file, file_text(self._lines(model, rows, answer)).encode())
        return list(parts)

    def _parts(self, model: "TextModel") -> "dict[Path, tuple[TaskRows, str | None]]":
        from lightning_app.commands.task_rows import rows_of_file, submission_rows

        source, output = Path(str(self.data)), Path(str(self.output))
        if source.is_dir():
            found = submission_rows(source, model.task, self.task_name or model.task.name)
            return {output / name: part for name, part in found.items()}
        if self.task_name is not None:
            raise InputError(
                "Expected `--task_name` with a folder of GLUE's tasks, got it with"
                f" {str(source)!r}; leave it out."
            )
        return {output: (rows_of_file(source, model.task, labelled=False), None)}

    def _lines(self, model: "TextModel", rows: "TaskRows", answer: str | None) -> list[str]:
        import torch

        from modules.prediction_lines import submission_lines, table_lines

        logits = torch.from_numpy(model.logits(rows.texts, rows.pairs, self.batch_size))
        if answer is None:
            return table_lines(logits, model.task)
        return submission_lines(logits, model.task, answer)

    def _check_arguments(self) -> None:
        if (self.text is None) == (self.data is None):
            came = "neither" if self.text is None else "both"
            raise InputError(
                "Expected `--text` to answer on the terminal, or `--data` and `--output` for a"
                f" file, got {came}."
            )
        if (self.output is None) != (self.data is None):
            raise InputError(
                "Expected `--output` with `--data`, got one without the other; name what to read"
                " and what to write."
            )
        if self.text is None and self.text_pair is not None:
            raise InputError("Expected `--text_pair` with `--text`, got it alone.")
        if self.batch_size < 1:
            raise InputError(f"Expected `--batch_size` to be at least 1, got {self.batch_size}.")
