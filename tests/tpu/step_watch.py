"""What XLA did at each step of a fit."""

import json
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class StepWatch(Callback):
    """Writes ``steps.json`` into the trainer's root: of each step its loss and length, and the
    programs compiled and the tensors read from the device by its end.
    """

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.counts: list[dict[str, int]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.losses.append(outputs["loss"].detach().clone())
        on_xla = pl_module.device.type == "xla"
        self.counts.append({"length": batch["input_ids"].shape[1], **(counts() if on_xla else {})})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "xla":
            self.counts.append(counts())
        steps = {"losses": [float(loss) for loss in self.losses], "counts": self.counts}
        (Path(trainer.default_root_dir) / "steps.json").write_text(json.dumps(steps))


def counts() -> dict[str, int]:
    """Since the process began."""
    import torch_xla.debug.metrics as xla_metrics

    names = {"compiled": "CompileTime", "read": "TransferFromDeviceTime"}
    found = {key: xla_metrics.metric_data(name) for key, name in names.items()}
    return {key: 0 if data is None else int(data[0]) for key, data in found.items()}
