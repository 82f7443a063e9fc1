"""Inputs on which an artifact is compared with its checkpoint."""

from typing import TYPE_CHECKING, Any

import torch

from lightning_app.artifact.manifest import Sample
from lightning_app.errors import InputError
from modules.network_inputs import network_inputs
from modules.text_classifier import TextClassifier

if TYPE_CHECKING:
    from torch import Tensor

_TEXTS = (
    "Good.",
    "The film was very good, and she liked it.",
    "It was not a great book: he hated it so much that he sold it.",
    "The mayor of Dallas opened a new cinema on Sunday that cost 13 million dollars.",
    'Where is the new house? Naïve or not, 3.5 % of them said "no" – why?',
    "",
)


def export_samples(model: TextClassifier, max_seq_length: int) -> tuple[Sample, ...]:
    """Rows from an empty one to one that is cut, with the checkpoint's logits, each row alone.

    Args:
        model: Of the checkpoint, as it was loaded.
        max_seq_length: Longer inputs are cut.

    Raises:
        InputError: If the checkpoint answers with NaN or infinity.
    """
    assert model.task is not None
    texts = [*_TEXTS, " ".join(_TEXTS * (1 + max_seq_length // 32))]
    rows = [(text,) for text in texts]
    if len(model.task.text_columns) == 2:
        rows = list(zip(texts, [*texts[1:], texts[1]], strict=True))  # type: ignore[arg-type]
    return tuple(Sample(row, _logits(model, row, max_seq_length)) for row in rows)


@torch.inference_mode()
def _logits(model: TextClassifier, row: tuple[str, ...], longest: int) -> tuple[float, ...]:
    columns = [[text] for text in row]
    encoded: Any = model.tokenizer(
        *columns, truncation=True, max_length=longest, return_tensors="pt"
    )
    logits: Tensor = model(**network_inputs(encoded)).logits[0]
    if not logits.isfinite().all():
        raise InputError(
            f"Expected a checkpoint with finite answers, but its logits for {row[0][:40]!r} are"
            f" {logits.tolist()}; export an earlier one."
        )
    return tuple(logits.tolist())
