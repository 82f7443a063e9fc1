"""What the data modules of GLUE and of a user's own files have in common."""

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities import rank_zero_info

from datamodules.batch_loader import BatchLoader
from datamodules.batch_sampler import EvalBatchSampler, TrainBatchSampler
from datamodules.collator import PaddingCollator
from datamodules.splits import Rows, fold_rows, rows_where, stratified_part
from datamodules.streaming import StreamingLoader
from datamodules.tokenization import LabelEncoder, TokenizedRows, tokenize_split
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
        num_folds: Cross-validation: cut the training set into so many stratified folds and
            validate on one of them; the task's validation set is not looked at.
        fold: Which fold is validated on, from 0.
        max_train_rows: Train on a fixed, stratified, seeded part of so many rows.
        streaming: Read the training rows anew in each epoch in place of keeping them on disk, for
            sets larger than the disk cache; needs `trainer.max_steps`.
        data_seed: Seed of the order, the folds and the part.
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
        num_folds: int | None = None,
        fold: int = 0,
        max_train_rows: int | None = None,
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
        self.num_folds = num_folds
        self.fold = fold
        self.max_train_rows = max_train_rows
        self.streaming = streaming
        self.data_seed = data_seed
        self._tokenizer_name = tokenizer
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._raw: dict[str, Dataset] = {}
        self._tokenized: dict[str, TokenizedRows] = {}
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

    def raw_split(self, split: str) -> "Dataset":
        """The text and labels of a split, checked; ``index`` of a batch counts its rows."""
        if split not in self._raw:
            self._raw[split] = self._read_split(split)
        return self._raw[split]

    def prepare_data(self) -> None:
        """Download, check and tokenize; the result stays in the cache on disk."""
        self._load(self._stage())

    def setup(self, stage: str) -> None:
        """Open the tokenized rows of a stage (``fit``, ``validate``, ``test``, ``predict``)."""
        self._load(stage)

    def train_dataloader(self) -> "BatchLoader | StreamingLoader":
        """Shuffled batches; the order depends on ``data_seed`` and the epoch."""
        self._train_loader = self._streaming_loader() if self.streaming else self._grouped_loader()
        if self._resume_at is not None:
            self._train_loader.load_state_dict(self._resume_at)
            self._resume_at = None
        return self._train_loader

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
        return [self._eval_loader(rows) for rows in self._validation_rows()]

    def validation_part(self, num_rows: int, seed: int = 0) -> list[BatchLoader]:
        """As `val_dataloader`, of at most so many rows a split.

        Args:
            num_rows: A random choice without replacement, the same in every call.
            seed: Of the choice.
        """
        parts = [_random_part(rows, num_rows, seed) for rows in self._validation_rows()]
        return [self._eval_loader(part) for part in parts]

    def test_dataloader(self) -> list[BatchLoader]:
        """One loader a labelled test split."""
        return [self._eval_loader(self._tokenized[split]) for split in self.test_splits]

    def predict_dataloader(self) -> list[BatchLoader]:
        """One loader a split that is predicted."""
        return [self._eval_loader(self._tokenized[split]) for split in self.predict_splits]

    def calibration_loader(self, num_rows: int, batch_size: int, seed: int = 0) -> BatchLoader:
        """Labelled training rows, the same on every process and in every call.

        Args:
            num_rows: Rows, at most all that are trained on; a random choice without replacement.
            batch_size: Rows a batch, those of similar length together.
            seed: Of the choice.

        Raises:
            InputError: With `data.streaming: true`, where no training row is at hand.
        """
        if self.streaming:
            raise InputError(
                "Expected `data.streaming: false` for a callback that calibrates on training rows,"
                " got true."
            )
        chosen = _random_part(self._train_rows(), num_rows, seed)
        return self._loader(chosen, EvalBatchSampler(chosen.lengths, batch_size))

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

    def _stage(self) -> str:
        fn = None if self.trainer is None else self.trainer.state.fn
        return "fit" if fn is None else str(fn.value)

    def _load(self, stage: str) -> None:
        for split in self._splits_of(stage):
            if split not in self._tokenized:
                self._tokenized[split] = TokenizedRows(self._tokenize(split))
                self._report(split)

    def _splits_of(self, stage: str) -> tuple[str, ...]:
        if stage == "fit":
            train = () if self.streaming else ("train",)
            return train if self._holds_back() else (*train, *self.validation_splits)
        return self.split_names(stage)

    def _tokenize(self, split: str, streaming: bool = False) -> Any:
        raw: Any = self.raw_stream(split) if streaming else self.raw_split(split)
        encode = self.label_encoder(split)
        text = f"Tokenizing {self.task.name} {split}"
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

    def _streaming_loader(self) -> StreamingLoader:
        rank, world_size = self._place()
        return StreamingLoader(
            self._tokenize("train", streaming=True),
            self._collator(),
            batch_size=self.train_batch_size,
            seed=self.data_seed,
            rank=rank,
            world_size=world_size,
        )

    def _grouped_loader(self) -> BatchLoader:
        rank, world_size = self._place()
        rows = self._train_rows()
        sampler = TrainBatchSampler(
            rows.lengths,
            self.train_batch_size,
            group_by_length=self.group_by_length,
            seed=self.data_seed,
            rank=rank,
            world_size=world_size,
        )
        return self._loader(rows, sampler)

    def _train_rows(self) -> TokenizedRows:
        rows = self._tokenized["train"]
        trained_on = np.ones(len(rows), dtype=bool)
        if self._holds_back():
            trained_on[self._held_back(self._labels())] = False
        chosen = rows_where(trained_on)
        if self.max_train_rows is not None and self.max_train_rows < len(chosen):
            labels = self._labels()[chosen]
            chosen = chosen[stratified_part(labels, self.max_train_rows, self.data_seed)]
        return rows if len(chosen) == len(rows) else TokenizedRows(rows.table, chosen)

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

    def _eval_loader(self, rows: TokenizedRows) -> BatchLoader:
        rank, world_size = self._place()
        sampler = EvalBatchSampler(
            rows.lengths, self.eval_batch_size, rank=rank, world_size=world_size
        )
        return self._loader(rows, sampler)

    def _loader(
        self, rows: TokenizedRows, sampler: TrainBatchSampler | EvalBatchSampler
    ) -> BatchLoader:
        return BatchLoader(
            rows,
            sampler,
            self._collator(),
            num_workers=self._worker_count(),
            pin_memory=self._on_gpu(),
        )

    def _collator(self) -> PaddingCollator:
        single = self.task.problem_type == "single_label_classification"
        return PaddingCollator(
            pad_token_id=int(self.tokenizer.pad_token_id or 0),
            pad_token_type_id=int(getattr(self.tokenizer, "pad_token_type_id", 0)),
            label_dtype=torch.long if single else torch.float32,
            pad_to_multiple_of=self.pad_to_multiple_of,
            fixed_lengths=self.fixed_lengths,
        )

    def _place(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _worker_count(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        return min(4, (os.cpu_count() or 1) - 1) if self._on_gpu() else 0

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def _random_part(rows: TokenizedRows, num_rows: int, seed: int) -> TokenizedRows:
    among = np.arange(len(rows), dtype=np.int32) if rows.rows is None else rows.rows
    order = np.random.default_rng(seed).permutation(len(among))[:num_rows]
    return TokenizedRows(rows.table, among[np.sort(order)])
