"""Checkpoints of Lightning's XLA strategies."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO, XLACheckpointIO
from lightning.pytorch.accelerators import XLAAccelerator
from lightning_utilities.core.apply_func import apply_to_collection

from lightning_app.checkpoint_io import AtomicCheckpointIO
from lightning_app.xla import keep_scalars_out_of_programs


def checkpoint_io(accelerator: Any) -> CheckpointIO:
    """What writes checkpoints: on XLA of the kind that Lightning's strategies take.

    Args:
        accelerator: ``trainer.accelerator``.
    """
    is_xla = accelerator == "tpu" or (accelerator == "auto" and XLAAccelerator.is_available())
    if not is_xla:
        return AtomicCheckpointIO()
    keep_scalars_out_of_programs()
    return XLAAtomicCheckpointIO()


class XLAAtomicCheckpointIO(XLACheckpointIO):
    """`AtomicCheckpointIO` for Lightning's XLA strategies, which take no other kind of plugin.

    Tensors are moved to the host first, so that the files are those of any other device.
    """

    def __init__(self) -> None:
        super().__init__()
        self._files = AtomicCheckpointIO()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Replace ``path`` by the new checkpoint, or leave it as it is."""
        on_host = apply_to_collection(checkpoint, torch.Tensor, torch.Tensor.cpu)
        self._files.save_checkpoint(on_host, path, storage_options)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read ``path`` into the memory of the host; ``weights_only`` is always true."""
        return self._files.load_checkpoint(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete ``path`` if it is there."""
        self._files.remove_checkpoint(path)
