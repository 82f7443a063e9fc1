"""What the data modules of GLUE and of a user's own files have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities import rank_zero_info

from datamodules.augmentation import Augmentation, augment_rows
from datamodules.batch_loader import BatchLoader
from datamodules.collator import PaddingCollator
from datamodules.loader_factory import LoaderFactory
from datamodules.row_checks import check_columns, check_not_empty, check_text
from datamodules.row_files import has_reader, read_rows
from datamodules.splits import Rows, fold_rows, rows_where, stratified_part
from datamodules.streaming import StreamingLoader
from datamodules.tokenization import LabelEncoder, TokenizedRows, tokenize_split
from datamodules.unlabelled_rows import REST, with_unlabelled
from datamodules.word_models import load_substitutes
from lightning_app.errors import InputError
from lightning_app.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


class TextDataModule(LightningDataModule, ABC):
    """Tokenizes once to disk, then serves padded batches of rows of similar length.

    Subclasses say where the rows come from. The tokenizer is the model's: of the Trainer's module,
    or of ``tokenizer`` where there is no Trainer.

    Args:
        max_seq_length: Longest input in tokens; longer ones are cut, counted and reported.
        train_batch_size: Rows a training batch and device.
        eval_batch_size: Rows a batch and device in validation, test and prediction.
        num_workers: Loader processes; by default 0 on a CPU, where they would take the cores
            from the training, and up to 4 beside a GPU.
        group_by_length: Make training batches of rows of similar length.
        pad_to_multiple_of: Round the length of a batch up to a multiple (8 suits tensor cores).
        fixed_lengths: Pad each batch to the smallest of these that fits, for compiled and XLA
            execution; must include ``max_seq_length``.
        full_batches: Fill the last batch up with rows that weigh nothing, so that with
            ``fixed_lengths`` there are no more shapes than lengths.
        num_folds: Cross-validation: cut the training set into so many stratified folds and
            validate on one of them; the task's validation set is not looked at.
        fold: Which fold is validated on, from 0.
        max_train_rows: Train on a fixed, stratified, seeded part of so many rows.
        unlabelled: Further training rows, for distillation: soft targets, no task loss. ``rest``
            takes those that ``max_train_rows`` leaves out, without their labels; else a file with
            the task's text columns, or a folder or hub id, of which the train split is read.
        augmentation: Further rows of that kind, made of the labelled ones by word replacement.
        streaming: Read the training rows anew in each epoch in place of keeping them on disk, for
            sets larger than the disk cache; needs `trainer.max_steps`.
        data_seed: Seed of the order, the folds, the part and the augmentation.
        tokenizer: Folder or hub id of a tokenizer, where there is no Trainer to ask.
    """

    def __init__(
        self,
        max_seq_length: int = 128,
        train_batch_size: int = 16,
        eval_batch_size: int = 64,
        num_workers: int | None = None,
        group_by_length: bool = True,
        pad_to_multiple_of: int = 1,
        fixed_lengths: list[int] | None = None,
        full_batches: bool = False,
        num_folds: int | None = None,
        fold: int = 0,
        max_train_rows: int | None = None,
        unlabelled: str | None = None,
        augmentation: Augmentation | None = None,
        streaming: bool = False,
        data_seed: int = 42,
        tokenizer: str | None = None,
    ) -> None:
        super().__init__()
        self.max_seq_length = max_seq_length
        self.train_batch_size = train_batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.group_by_length = group_by_length
        self.pad_to_multiple_of = pad_to_multiple_of
        self.fixed_lengths = tuple(sorted(fixed_lengths or ()))
        self.full_batches = full_batches
        self.num_folds = num_folds
        self.fold = fold
        self.max_train_rows = max_train_rows
        self.unlabelled = unlabelled
        self.augmentation = augmentation
        self.streaming = streaming
        self.data_seed = data_seed
        self._tokenizer_name = tokenizer
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._raw: dict[str, Dataset] = {}
        self._tokenized: dict[str, TokenizedRows] = {}
        self._with_unlabelled: TokenizedRows | None = None
        self._unlabelled_texts: list[Dataset] = []
        self._train_loader: BatchLoader | StreamingLoader | None = None
        self._resume_at: dict[str, Any] | None = None
        self._check_arguments()

    @property
    @abstractmethod
    def task(self) -> Task:
        """Columns, labels and metrics; known at the latest after `prepare_data` or `setup`."""

    @property
    @abstractmethod
    def validation_splits(self) -> tuple[str, ...]:
        """Names of the splits that `val_dataloader` serves, without cross-validation."""

    @property
    @abstractmethod
    def predict_splits(self) -> tuple[str, ...]:
        """Names of the splits that `predict_dataloader` serves."""

    @property
    @abstractmethod
    def test_splits(self) -> tuple[str, ...]:
        """Names of the labelled splits that `test_dataloader` serves."""

    @abstractmethod
    def _read_split(self, split: str) -> "Dataset":
        """The text and labels of a split, checked."""

    @abstractmethod
    def label_encoder(self, split: str) -> LabelEncoder | None:
        """How to turn the label column into numbers; None where a split has no labels."""

    @property
    def num_unlabelled(self) -> int:
        """Rows of `train_dataloader` without a label, augmented ones among them; from `setup` on.

        Where there are some, its batches have ``labelled`` and ``task_weight``.
        """
        rows = self._with_unlabelled
        return 0 if rows is None or rows.labelled is None else int((~rows.labelled).sum())

    def raw_split(self, split: str) -> "Dataset":
        """The text and labels of a split, checked; ``index`` of a batch counts its rows."""
        if split not in self._raw:
            self._raw[split] = self._read_split(split)
        return self._raw[split]

    def texts(self, split: str, rows: Sequence[int]) -> list[list[str]]:
        """The texts of rows by their ``index``, one list a text column; from `setup` on."""
        tables = [self.raw_split(split), *(self._unlabelled_texts if split == "train" else ())]
        starts = np.cumsum([0, *(len(table) for table in tables)])
        found = [int(np.searchsorted(starts, row, side="right")) - 1 for row in rows]
        lines = [tables[t][int(row - starts[t])] for t, row in zip(found, rows, strict=True)]
        return [[line[column] for line in lines] for column in self.task.text_columns]

    def prepare_data(self) -> None:
        """Download, check and tokenize; the result stays in the cache on disk."""
        self._load(self._stage())

    def setup(self, stage: str) -> None:
        """Open the tokenized rows of a stage (``fit``, ``validate``, ``test``, ``predict``)."""
        self._load(stage)

    def train_dataloader(self) -> "BatchLoader | StreamingLoader":
        """Shuffled batches; the order depends on ``data_seed`` and the epoch."""
        self._train_loader = self._new_train_loader()
        if self._resume_at is not None:
            self._train_loader.load_state_dict(self._resume_at)
            self._resume_at = None
        return self._train_loader

    def _new_train_loader(self) -> "BatchLoader | StreamingLoader":
        loaders = self._loaders()
        if self.streaming:
            stream = self._tokenize("train", streaming=True)
            return loaders.stream(stream, self.train_batch_size, self.data_seed)
        rows = self.every_training_row()
        return loaders.train(rows, self.train_batch_size, self.group_by_length, self.data_seed)

    def state_dict(self) -> dict[str, Any]:
        """Epoch, and position in it."""
        return {} if self._train_loader is None else self._train_loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `train_dataloader` go on in the middle of the epoch.

        Lightning's own way to restore a loader is skipped when a callback has asked for
        `trainer.estimated_stepping_batches` before.
        """
        self._resume_at = state_dict

    def val_dataloader(self) -> list[BatchLoader]:
        """One loader a validation split."""
        return self._evaluated(self._validation_rows())

    def validation_part(self, num_rows: int, seed: int = 0) -> list[BatchLoader]:
        """As `val_dataloader`, of at most so many rows a split.

        Args:
            num_rows: A random choice without replacement, the same in every call.
            seed: Of the choice.
        """
        rows = self._validation_rows()
        return self._evaluated([_random_part(part, num_rows, seed) for part in rows])

    def test_dataloader(self) -> list[BatchLoader]:
        """One loader a labelled test split."""
        return self._evaluated([self._tokenized[split] for split in self.test_splits])

    def predict_dataloader(self) -> list[BatchLoader]:
        """One loader a split that is predicted."""
        return self._evaluated([self._tokenized[split] for split in self.predict_splits])

    def calibration_loader(
        self, num_rows: int, batch_size: int, seed: int = 0, skip: int = 0
    ) -> BatchLoader:
        """Labelled training rows, the same on every process and in every call.

        Args:
            num_rows: Rows, at most all that are trained on; a random choice without replacement.
            batch_size: Rows a batch, those of similar length together.
            seed: Of the choice.
            skip: Leave out the rows that a call for so many with the same seed chooses.

        Raises:
            InputError: With `data.streaming: true`, where no training row is at hand.
        """
        self._check_not_streaming("calibration on training rows")
        chosen = _random_part(self._train_rows(), num_rows, seed, skip)
        return self._loaders().on_every_process(chosen, batch_size)

    def every_training_row(self) -> TokenizedRows:
        """The rows of an epoch of `train_dataloader`, labelled or not; from `setup` on.

        Raises:
            InputError: With `data.streaming: true`, where no training row is at hand.
        """
        self._check_not_streaming("a callback that reads all training rows at once")
        return self._with_unlabelled or self._train_rows()

    def every_training_row_loader(self, batch_size: int) -> BatchLoader:
        """Each of them once, on every process; those of similar length together."""
        return self._loaders().on_every_process(self.every_training_row(), batch_size)

    def split_names(self, stage: str) -> tuple[str, ...]:
        """Name of each loader's split, in the order of the loaders."""
        if stage == "validate":
            return ("train",) if self._holds_back() else self.validation_splits
        return self.test_splits if stage == "test" else self.predict_splits

    def _check_arguments(self) -> None:
        for name in ("max_seq_length", "train_batch_size", "eval_batch_size", "pad_to_multiple_of"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `data.{name}` to be at least 1, got {getattr(self, name)}."
                )
        if self.fixed_lengths and self.fixed_lengths[-1] < self.max_seq_length:
            raise InputError(
                f"Expected `data.fixed_lengths` to include max_seq_length={self.max_seq_length},"
                f" got {list(self.fixed_lengths)}."
            )
        if self.num_folds is not None and not 0 <= self.fold < self.num_folds >= 2:
            raise InputError(
                "Expected `data.num_folds` to be at least 2 and `data.fold` in [0, num_folds),"
                f" got num_folds={self.num_folds}, fold={self.fold}."
            )
        if self.streaming and (self.num_folds is not None or self.max_train_rows is not None):
            raise InputError(
                "Expected no `data.num_folds` or `data.max_train_rows` with `data.streaming: true`,"
                " as rows are not counted there; leave streaming out."
            )
        self._check_unlabelled()

    def _check_not_streaming(self, reader: str) -> None:
        if self.streaming:
            raise InputError(f"Expected `data.streaming: false` for {reader}, got true.")

    def _check_unlabelled(self) -> None:
        if self.streaming and (self.unlabelled is not None or self.augmentation is not None):
            raise InputError(
                "Expected no `data.unlabelled` or `data.augmentation` with `data.streaming: true`,"
                " as a stream is not mixed with other rows; leave streaming out."
            )
        if self.unlabelled == REST and self.max_train_rows is None:
            raise InputError(
                "Expected `data.max_train_rows` with `data.unlabelled: rest`, which takes the"
                " training rows that it leaves out, got None."
            )

    def _stage(self) -> str:
        fn = None if self.trainer is None else self.trainer.state.fn
        return "fit" if fn is None else str(fn.value)

    def _load(self, stage: str) -> None:
        for split in self._splits_of(stage):
            if split not in self._tokenized:
                self._tokenized[split] = TokenizedRows(self._tokenize(split))
                self._report(split)
        wanted = self.unlabelled is not None or self.augmentation is not None
        if stage == "fit" and wanted and self._with_unlabelled is None:
            self._load_unlabelled()

    def _load_unlabelled(self) -> None:
        labelled = self._train_rows()
        rest = self._rest_rows() if self.unlabelled == REST else np.empty(0, dtype=np.int32)
        raw = {}
        if self.unlabelled not in (None, REST):
            raw["unlabelled"] = self._read_unlabelled()
        if self.augmentation is not None:
            raw["augmented"] = self._augment()
        tables = [self._tokenize_text(name, texts) for name, texts in raw.items()]
        self._unlabelled_texts = list(raw.values())
        self._with_unlabelled = with_unlabelled(labelled, rest, tables)
        counts = {"labelled": len(labelled), "unlabelled": len(rest)}
        counts.update({name: len(texts) for name, texts in raw.items()})
        words = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        rank_zero_info(f"{self.task.name} train: {words} rows are trained on")

    def _read_unlabelled(self) -> "Dataset":
        place = str(self.unlabelled)
        is_file = has_reader(place)
        raw = read_rows(place, "data.unlabelled") if is_file else self._read_train_split(place)
        check_not_empty(raw, place)
        check_columns(raw, self.task.text_columns, place, "data.unlabelled")
        check_text(raw, self.task.text_columns, place)
        return raw

    @abstractmethod
    def _read_train_split(self, place: str) -> "Dataset":
        """The train split of a data set of the hub, or of a folder in its layout."""

    def _augment(self) -> "Dataset":
        assert self.augmentation is not None
        known = getattr(self._module(), "model_name_or_path", None) or self._tokenizer_name
        name = self.augmentation.model_name_or_path or known
        if name is None:
            raise InputError(
                "Expected `data.augmentation.model_name_or_path` where no Trainer with a"
                " `TextClassifier` is there to ask, got None."
            )
        return augment_rows(
            self.raw_split("train"),
            self._labelled_rows(),
            self.task.text_columns,
            self.augmentation,
            load_substitutes(name, self.augmentation, self.max_seq_length, self._device()),
            self.data_seed,
        )

    def _splits_of(self, stage: str) -> tuple[str, ...]:
        if stage == "fit":
            train = () if self.streaming else ("train",)
            return train if self._holds_back() else (*train, *self.validation_splits)
        return self.split_names(stage)

    def _tokenize(self, split: str, streaming: bool = False) -> Any:
        raw: Any = self.raw_stream(split) if streaming else self.raw_split(split)
        return self._tokenize_text(split, raw, self.label_encoder(split))

    def _tokenize_text(self, name: str, raw: Any, encode: LabelEncoder | None = None) -> Any:
        text = f"Tokenizing {self.task.name} {name}"
        return tokenize_split(raw, self.tokenizer, self.task, self.max_seq_length, encode, text)

    def raw_stream(self, split: str) -> Any:
        """The rows of a split as a `datasets.IterableDataset`; here, of the raw rows' cache."""
        return self.raw_split(split).to_iterable_dataset()

    def _report(self, split: str) -> None:
        rows = self._tokenized[split]
        lengths = rows.lengths
        truncated = rows.num_truncated
        rank_zero_info(
            f"{self.task.name} {split}: {len(rows):,} rows, {lengths.mean():.0f} tokens on average"
            f" (longest {lengths.max()}), {truncated:,} cut at {self.max_seq_length}"
            f" ({truncated / len(rows):.1%})"
        )

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The model's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = self._find_tokenizer()
        return self._tokenizer

    def _find_tokenizer(self) -> "PreTrainedTokenizerBase":
        from lightning_app.pretrained import load_tokenizer

        if self._tokenizer_name is not None:
            return load_tokenizer(self._tokenizer_name)
        tokenizer: PreTrainedTokenizerBase | None = getattr(self._module(), "tokenizer", None)
        if tokenizer is None:
            raise InputError(
                "Expected `data.tokenizer` (a folder or hub id) where no Trainer with a"
                " `TextClassifier` is there to ask, got None."
            )
        return tokenizer

    def _module(self) -> LightningModule | None:
        return None if self.trainer is None else self.trainer.lightning_module

    def _train_rows(self) -> TokenizedRows:
        """The labelled rows that are trained on."""
        rows, chosen = self._tokenized["train"], self._labelled_rows()
        return rows if len(chosen) == len(rows) else TokenizedRows(rows.table, chosen)

    def _labelled_rows(self) -> Rows:
        chosen = self._not_held_back()
        if self.max_train_rows is not None and self.max_train_rows < len(chosen):
            labels = self._labels()[chosen]
            chosen = chosen[stratified_part(labels, self.max_train_rows, self.data_seed)]
        return chosen

    def _rest_rows(self) -> Rows:
        """Training rows that are neither trained on with their label nor validated on."""
        rest = np.setdiff1d(self._not_held_back(), self._labelled_rows(), assume_unique=True)
        if len(rest) == 0:
            raise InputError(
                "Expected `data.max_train_rows` to leave out rows for `data.unlabelled: rest`, got"
                f" {self.max_train_rows} of {len(self._not_held_back())}; choose fewer."
            )
        return rest

    def _not_held_back(self) -> Rows:
        trained_on = np.ones(len(self._tokenized["train"]), dtype=bool)
        if self._holds_back():
            trained_on[self._held_back(self._labels())] = False
        return rows_where(trained_on)

    def _validation_rows(self) -> list[TokenizedRows]:
        if self._holds_back():
            return [self._held_back_rows()]
        return [self._tokenized[split] for split in self.validation_splits]

    def _held_back_rows(self) -> TokenizedRows:
        table = self._tokenized["train"].table
        return TokenizedRows(table, self._held_back(self._labels()))

    def _holds_back(self) -> bool:
        """Whether validation rows are cut from the training set."""
        return self.num_folds is not None

    def _held_back(self, labels: Any) -> Rows:
        """The training rows that are validated on, in ascending order."""
        assert self.num_folds is not None
        return fold_rows(labels, self.num_folds, self.fold, self.data_seed)[1]

    def _labels(self) -> Any:
        labels = self._tokenized["train"].column("labels")
        if self.task.problem_type == "multi_label_classification":
            # Stratified by the combination of labels.
            return np.unique(labels.astype(np.int8), axis=0, return_inverse=True)[1]
        return labels

    def _evaluated(self, parts: Sequence[TokenizedRows]) -> list[BatchLoader]:
        loaders = self._loaders()
        return [loaders.evaluation(rows, self.eval_batch_size) for rows in parts]

    def _loaders(self) -> LoaderFactory:
        rank, world_size = self._place()
        return LoaderFactory(
            self._collator(),
            self.full_batches,
            self.num_workers,
            on_gpu=self._device().type == "cuda",
            rank=rank,
            world_size=world_size,
        )

    def _collator(self) -> PaddingCollator:
        single = self.task.problem_type == "single_label_classification"
        return PaddingCollator(
            pad_token_id=int(self.tokenizer.pad_token_id or 0),
            pad_token_type_id=int(getattr(self.tokenizer, "pad_token_type_id", 0)),
            label_dtype=torch.long if single else torch.float32,
            pad_to_multiple_of=self.pad_to_multiple_of,
            fixed_lengths=self.fixed_lengths,
            always_weighted=self.full_batches,
        )

    def _place(self) -> tuple[int, int]:
        """Rank, and number of processes."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device


def _random_part(rows: TokenizedRows, num_rows: int, seed: int, skip: int = 0) -> TokenizedRows:
    among = np.arange(len(rows), dtype=np.int32) if rows.rows is None else rows.rows
    order = np.random.default_rng(seed).permutation(len(among))[skip : skip + num_rows]
    return TokenizedRows(rows.table, among[np.sort(order)])
