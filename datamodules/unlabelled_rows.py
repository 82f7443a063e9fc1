"""Training rows without a label, for distillation: soft targets, no task loss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from datamodules.splits import Rows
from datamodules.tokenization import TokenizedRows

if TYPE_CHECKING:
    from datasets import Dataset

REST = "rest"
"""Value of `data.unlabelled`: the training rows that `data.max_train_rows` leaves out."""


def with_unlabelled(
    labelled: TokenizedRows, rest: Rows, tables: Sequence["Dataset"]
) -> TokenizedRows:
    """Labelled rows, then those that have none or whose label is not used.

    Args:
        labelled: Rows of the training table.
        rest: Rows of the same table whose labels are not used.
        tables: Tokenized rows without labels. Their numbers go on where those of the training
            table end.
    """
    from datasets import concatenate_datasets

    table = concatenate_datasets([labelled.table, *tables]) if tables else labelled.table
    first = np.arange(len(labelled), dtype=np.int32) if labelled.rows is None else labelled.rows
    behind = np.arange(len(labelled.table), len(table), dtype=np.int32)
    rows = np.concatenate([first, rest, behind])
    return TokenizedRows(table, rows, np.arange(len(rows)) < len(first))
