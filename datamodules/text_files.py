"""A user's own CSV, TSV, JSON Lines or Parquet files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from lightning.pytorch.utilities import rank_zero_info

from datamodules.label_inference import MAX_CLASSES, Labels, infer_labels
from datamodules.row_checks import (
    check_columns,
    check_names,
    check_no_nulls,
    check_not_empty,
    check_text,
)
from datamodules.row_files import READERS, existing_file, has_reader, read_rows
from datamodules.splits import Rows, stratified_part
from datamodules.text_datamodule import TextDataModule
from datamodules.tokenization import LabelEncoder
from lightning_app.errors import InputError
from lightning_app.hub import hub_or_cache
from lightning_app.task import METRICS_BY_PROBLEM, ProblemType, Task

if TYPE_CHECKING:
    from datasets import Dataset


class TextFilesDataModule(TextDataModule):
    """One or two text columns and a label column, read from files of one's own.

    What the labels are is inferred and printed: text or whole numbers are classes, numbers with a
    fraction a regression target, lists (or text with ``label_separator``) several labels a row.

    Args:
        train_file: CSV, TSV, JSON Lines or Parquet, by its ending.
        validation_file: Likewise; without it, a stratified tenth of the training rows is held
            back.
        test_file: Likewise; labelled for `glint test`, with or without labels for `predict`.
        text_columns: One or two columns that hold the text.
        label_column: The column that holds the label.
        problem_type: ``single_label_classification``, ``multi_label_classification`` or
            ``regression`` in place of what is inferred.
        label_separator: Splits the label column's text into several labels, for example ``"|"``.
        metrics: Logged as ``val/<metric>``; their mean is ``val/score``. By default all that suit.
        validation_fraction: Share of the training rows held back without a ``validation_file``.
        **options: Those of `TextDataModule`: lengths, batch sizes, folds and so on.

    Example::

        data = TextFilesDataModule("reviews.csv", text_columns=["review"], label_column="stars")
    """

    def __init__(
        self,
        train_file: str | None = None,
        validation_file: str | None = None,
        test_file: str | None = None,
        text_columns: list[str] | None = None,
        label_column: str = "label",
        problem_type: ProblemType | None = None,
        label_separator: str | None = None,
        metrics: list[str] | None = None,
        validation_fraction: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.files = {"train": train_file, "validation": validation_file, "test": test_file}
        self.text_columns = tuple(text_columns or ("text",))
        self.label_column = label_column
        self.problem_type = problem_type
        self.label_separator = label_separator
        self.metrics = metrics
        self.validation_fraction = validation_fraction
        self._labels_found: Labels | None = None
        self._check_file_arguments()

    @property
    def task(self) -> Task:
        """Inferred from the training file, or taken from the model where there is none."""
        labels = self._find_labels()
        metrics = tuple(self.metrics or METRICS_BY_PROBLEM[labels.problem_type])
        name = Path(self.files["train"] or self.files["test"] or "text").stem
        return Task(
            name,
            self.text_columns,
            labels.names,
            labels.problem_type,
            metrics,
            metrics,
            self.label_column,
        )

    @property
    def validation_splits(self) -> tuple[str, ...]:
        """The validation file, or the rows held back."""
        return ("validation",)

    @property
    def predict_splits(self) -> tuple[str, ...]:
        """The test file."""
        return ("test",)

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The test file, if it has labels."""
        return ("test",)

    def raw_stream(self, split: str) -> Any:
        """Rows read from the file as they are wanted."""
        from datasets import load_dataset

        path = self.files[split]
        kind, options = READERS[Path(str(path)).suffix.lower()]
        return load_dataset(kind, data_files=path, split="train", streaming=True, **options)

    def label_encoder(self, split: str) -> LabelEncoder | None:
        """From names to numbers by the training file's labels."""
        streamed = self.streaming and split == "train"
        if not streamed and self.label_column not in self.raw_split(split).column_names:
            return None
        labels, source = self._find_labels(), f"{self.files[split] or self.files['train']}"

        def encode(values: Sequence[Any], first_row: int) -> list[Any]:
            return [labels.encode(v, row, source) for row, v in enumerate(values, first_row)]

        return encode

    def _check_file_arguments(self) -> None:
        if not 1 <= len(self.text_columns) <= 2:
            raise InputError(
                f"Expected `data.text_columns` to name one or two columns, got"
                f" {len(self.text_columns)}: {', '.join(self.text_columns)}."
            )
        if not 0 < self.validation_fraction <= 0.5:
            raise InputError(
                "Expected `data.validation_fraction` to be in (0, 0.5],"
                f" got {self.validation_fraction}."
            )
        if self.streaming and self.files["validation"] is None:
            raise InputError(
                "Expected `data.validation_file` with `data.streaming: true`, as no rows can be"
                " held back from a stream, got None."
            )
        for split, path in self.files.items():
            if path is not None and not has_reader(path):
                raise InputError(
                    f"Expected `data.{split}_file` to end in {', '.join(READERS)}, got {path!r}."
                )

    def _read_split(self, split: str) -> "Dataset":
        path = self._file(split)
        raw = read_rows(path, f"data.{split}_file")
        self._check_rows(raw, path, labelled=split != "test")
        return raw

    def _read_train_split(self, place: str) -> "Dataset":
        from datasets import load_dataset

        try:
            with hub_or_cache(place):
                return load_dataset(place, split="train")
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"Expected `data.unlabelled` to be `rest`, a file that ends in"
                f" {', '.join(READERS)}, or a folder or hub id with a train split, but {place!r}"
                f" could not be read: {reason}"
            ) from error

    def _file(self, split: str) -> str:
        path = self.files[split]
        if path is None:
            raise InputError(f"Expected `data.{split}_file` for this command, got None.")
        return path

    def _check_rows(self, raw: "Dataset", source: str, labelled: bool) -> None:
        check_not_empty(raw, source)
        check_columns(raw, self.text_columns, source, "data.text_columns")
        check_text(raw, self.text_columns, source)
        if labelled:
            check_columns(raw, [self.label_column], source, "data.label_column")
        if self.label_column in raw.column_names:
            check_no_nulls(raw, self.label_column, source, "a label")

    def _holds_back(self) -> bool:
        return self.files["validation"] is None or super()._holds_back()

    def _held_back(self, labels: Any) -> Rows:
        if self.num_folds is not None:
            return super()._held_back(labels)
        num_rows = max(1, round(self.validation_fraction * len(labels)))
        return stratified_part(labels, num_rows, self.data_seed)

    def _find_labels(self) -> Labels:
        if self._labels_found is None:
            self._labels_found = self._infer_labels()
            rank_zero_info(self._labels_found.in_words(self.label_column))
        return self._labels_found

    def _infer_labels(self) -> Labels:
        known: Task | None = getattr(self._module(), "task", None)
        if known is not None:  # a checkpoint's labels, in the order of its logits
            return Labels(known.label_names, known.problem_type, self.label_separator)
        if self.streaming:
            column = self._streamed_labels()
        else:
            column = self.raw_split("train").data.column(self.label_column)
        return infer_labels(column, self.problem_type, self.label_separator)

    def _streamed_labels(self) -> pa.ChunkedArray:
        """The different labels of the stream; of a regression target, some."""
        path = str(existing_file(self._file("train"), "data.train_file"))
        seen: dict[str, Any] = {}
        for batch in self.raw_stream("train").iter(batch_size=10_000):
            check_names(batch, [*self.text_columns, self.label_column], path)
            seen.update((repr(label), label) for label in batch[self.label_column])
            if len(seen) > MAX_CLASSES:
                break
        if None in seen.values():
            raise InputError(f"Expected a label in each row of {path}, but some have none.")
        return pa.chunked_array([pa.array(list(seen.values()))])
