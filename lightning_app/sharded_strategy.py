"""FSDP2 with the checkpoints of all other strategies."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.constants import default_pg_timeout
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from lightning_app.sharded_checkpoint import save_sharded


class ShardedStrategy(ModelParallelStrategy):
    """Cuts parameters, gradients and optimizer among all processes; runs on CPUs, too.

    Lightning's own strategy restores a checkpoint after the callbacks' `on_fit_start`, numbers
    optimizer states by another order than an optimizer does, and reads pickles. This one restores
    when DDP does and through the same `CheckpointIO`, so a checkpoint of any strategy goes on under
    any other, with any number of processes. To load one, each process reads all of it.

    Args:
        save_distributed_checkpoint: Let each process write its own part, into a folder
            (`lightning_app.sharded_checkpoint`), in place of gathering all on the first process.
        process_group_backend: By default that of the device.
        timeout: Of collective operations.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = False,
        process_group_backend: str | None = None,
        timeout: timedelta | None = default_pg_timeout,
    ) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
            timeout=timeout,
        )

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        """Before, as under DDP: callbacks find their state in `on_fit_start`."""
        return False

    @property
    def lightning_restore_optimizer(self) -> bool:
        """As under DDP."""
        return True

    def setup_environment(self) -> None:
        """One mesh of all processes."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole tensors in the memory of the CPU, or this process's parts of them."""
        assert self.lightning_module is not None
        return dict(self._to_save(self.lightning_module.state_dict()))

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The same of an optimizer, numbered as by itself."""
        return dict(self._to_save(optimizer.state_dict()))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        """Write a file from the first process, or a folder from all."""
        path = Path(self.broadcast(filepath))
        if self._save_distributed_checkpoint:
            save_sharded(checkpoint, path)
        elif self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, path)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> Any:
        """Read a file or a folder, whole."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Take this process's parts."""
        assert self.lightning_module is not None
        weights = dict(checkpoint["state_dict"])
        for name, present in self.lightning_module.state_dict().items():
            if name in weights:
                weights[name] = _cut_as(weights[name], present)
        self.lightning_module.load_state_dict(weights, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this process's parts."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                number: {key: _cut_as(value, parameters[number]) for key, value in values.items()}
                for number, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    def _to_save(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._to_save(entry) for key, entry in value.items()}
        if isinstance(value, DTensor) and not self._save_distributed_checkpoint:
            with torch.no_grad():
                return value.full_tensor().cpu()
        return value.detach() if isinstance(value, Tensor) else value


@torch.no_grad()
def _cut_as(whole: Any, present: Tensor) -> Any:
    is_like = isinstance(whole, Tensor) and whole.shape == present.shape
    if not (is_like and isinstance(present, DTensor)):
        return whole
    here = whole.to(present.device)
    # Every process has all of it: none needs to be sent anything.
    return distribute_tensor(here, present.device_mesh, present.placements, src_data_rank=None)
