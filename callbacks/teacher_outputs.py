"""What the teacher says to a batch: computed then, or read from a cache on disk."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from datamodules.text_datamodule import TextDataModule
from lightning_app.cache_key import cache_key, hash_of_weights
from lightning_app.row_arrays import ArraySpec, ArrayWriter
from lightning_app.teacher_cache import TeacherCache, default_cache_root
from modules.features import LOGITS
from modules.network_inputs import network_inputs
from modules.teacher import Teacher

CACHE_BATCH_SIZE = 64
DTYPES = {"float32": torch.float32, "float16": torch.float16}


@dataclass(frozen=True)
class CacheOptions:
    """How a teacher's outputs are kept.

    Args:
        dtype: Of what has tokens; logits are always ``float32``.
        folder: Where; by default `lightning_app.teacher_cache.default_cache_root`.
    """

    dtype: Literal["float32", "float16"]
    folder: str | None

    @property
    def root(self) -> Path:
        """Folder of all caches."""
        return default_cache_root() if self.folder is None else Path(self.folder)


class TeacherOutputs:
    """The teacher's features for batches of the data module.

    Args:
        teacher: On its device.
        names: Of the features, in the words of `modules.features`.
        context: Makes the precision of a forward pass.
    """

    def __init__(
        self,
        teacher: Teacher,
        names: Sequence[str],
        context: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.names = tuple(dict.fromkeys([LOGITS, *names]))
        self.weights_hash = hash_of_weights(teacher.network.state_dict())
        self._teacher = teacher
        self._features = teacher.read(self.names)
        self._logits = teacher.read([LOGITS])
        self._context = context
        self._cache: TeacherCache | None = None
        self._position: Callable[[Any], Any] = lambda index: index

    def of_training(self, batch: Mapping[str, Any], data: TextDataModule) -> dict[str, Tensor]:
        """The features of a training batch, by name."""
        if self._cache is None:
            with self._context():
                return self._teacher.features(self._features, self._inputs(batch, data, "train"))
        ids = batch["input_ids"]
        rows = self._position(batch["index"].cpu().numpy())
        return {n: self._cache.rows(n, rows, ids.shape[1]).to(ids.device) for n in self.names}

    def logits(self, batch: Mapping[str, Any], data: TextDataModule, split: str) -> Tensor:
        """The answers ``[batch, num_labels]`` to a batch of any split."""
        with self._context():
            return self._teacher.features(self._logits, self._inputs(batch, data, split))[LOGITS]

    def keep(self, trainer: Trainer, options: CacheOptions, precision: str) -> None:
        """Run the teacher over all training rows, unless that was done before; then read."""
        data: TextDataModule = trainer.datamodule  # type: ignore[attr-defined]
        rows = data.every_training_row()
        self._position = rows.position
        key = cache_key(
            {
                "teacher": self.weights_hash,
                "labels": None if self._teacher.order is None else self._teacher.order.tolist(),
                "precision": str(trainer.precision) if precision == "run" else precision,
                "rows": rows.fingerprint,
                "tokenizer": self._teacher.tokenizer_hash,
            }
        )
        self._cache = TeacherCache.open_or_create(
            options.root,
            key,
            [self._spec(name, DTYPES[options.dtype]) for name in self.names],
            rows.lengths,
            lambda writer: self._write(writer, data),
            rank_zero_info,
        )

    def _spec(self, name: str, dtype: torch.dtype) -> ArraySpec:
        if name == LOGITS:
            return ArraySpec(name, len(self._teacher.network.config.id2label or {}))
        return ArraySpec(name, self._features.width(name), dtype, per_token=True)

    def _write(self, writer: ArrayWriter, data: TextDataModule) -> None:
        device = self._teacher.network.device
        loader = data.every_training_row_loader(CACHE_BATCH_SIZE)
        for batch in tqdm(loader, desc="Running the teacher", unit="batch"):
            on_device = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            with self._context():
                inputs = self._inputs(on_device, data, "train")
                found = self._teacher.features(self._features, inputs)
            rows = self._position(batch["index"].numpy())
            for name, values in found.items():
                writer.put(rows, name, values.float())

    def _inputs(
        self, batch: Mapping[str, Any], data: TextDataModule, split: str
    ) -> dict[str, Tensor]:
        tokenizer = self._teacher.tokenizer
        if tokenizer is None:
            return network_inputs(batch)
        encoded = tokenizer(
            *data.texts(split, batch["index"].tolist()),
            truncation=True,
            max_length=data.max_seq_length,
            padding=True,
            return_tensors="pt",
        )
        return network_inputs(encoded.to(self._teacher.network.device))
