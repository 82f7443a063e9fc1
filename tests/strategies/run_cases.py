"""A fit of each case in one process, in two with DDP and in two with FSDP.

    python -m tests.strategies.run_cases MODEL REVIEWS OUT

All fits of a strategy run in the same processes, one after another, and these are forked from one
that has imported everything: both take longer than a fit.
"""

import faulthandler
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_app.checkpoint_io import AtomicCheckpointIO
from lightning_app.errors import InputError
from lightning_app.sharded_strategy import ShardedStrategy
from modules import TextClassifier
from tests.strategies.cases import FITS
from tests.tiny_fit import SaveAt, quiet_trainer, reviews_data

STRATEGIES: dict[str, Callable[[], dict[str, Any]]] = {
    "one": dict,
    "ddp": lambda: {"strategy": "ddp", "devices": 2},
    "fsdp": lambda: {"strategy": ShardedStrategy(), "devices": 2},
}
STARTS = {"one": "ddp", "ddp": "one"}
"""Whose checkpoint a strategy goes on from."""
SAVED_AT = 9
STEPS = 14
"""Of a fit: behind the last change of a schedule that ends at 12."""
GLOBAL_BATCH = 4
PATIENCE = 900
"""Seconds until a process that waits for another says where, and ends."""

Outcomes = dict[str, dict[str, Any]]
"""Of each fit: its weights, structure, masks and metrics, or how it was refused."""


class DoubleWeights(Callback):
    """Trains in float64: AdamW makes of float32's noise in a gradient of zero a whole step.

    Lightning's `64-true` is not for sharded models.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        assert isinstance(pl_module, TextClassifier)
        pl_module.ensure_network()
        pl_module.double()


def fit(strategy: str, name: str, model: str, reviews: Path, out: Path, resumed: bool) -> Any:
    """What came out; a checkpoint is left in ``out``, or one of the other strategy is gone on."""
    torch.manual_seed(1)
    start = out / f"{STARTS[strategy]}-{name}.ckpt" if resumed else None
    saving = (
        []
        if resumed or strategy not in STARTS
        else [SaveAt(out / f"{strategy}-{name}.ckpt", SAVED_AT)]
    )
    options = STRATEGIES[strategy]()
    trainer = quiet_trainer(
        DoubleWeights(),
        *FITS[name](),
        *saving,
        max_epochs=-1,
        max_steps=STEPS,
        check_val_every_n_epoch=None,
        val_check_interval=STEPS,
        plugins=[AtomicCheckpointIO()],
        **options,
    )
    network = TextClassifier(
        model, 1e-3, adam_epsilon=1e-4, hidden_dropout=0.0, attention_dropout=0.0
    )
    data = reviews_data(reviews, train_batch_size=GLOBAL_BATCH // options.get("devices", 1))
    try:
        if start is not None:
            _wait_for(start)
        trainer.fit(network, datamodule=data, ckpt_path=start)
    except InputError as error:
        return {"refused": str(error)}
    return outcome(trainer)


def outcome(trainer: Trainer) -> dict[str, Any]:
    """Weights, structure, masks and metrics."""
    model: Any = trainer.lightning_module
    masks = {
        type(callback).__name__: dict(callback.masks)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if getattr(callback, "masks", None)
    }
    return {
        "steps": trainer.global_step,
        "weights": dict(trainer.strategy.lightning_module_state_dict()),
        "architecture": model.architecture.as_plain(),
        "masks": masks,
        "metrics": {k: float(v) for k, v in trainer.callback_metrics.items() if "val" in k},
    }


def _wait_for(path: Path) -> None:
    while not path.is_file():
        time.sleep(0.05)


def _run(strategy: str, rank: int, model: str, reviews: Path, out: Path) -> None:
    """All fits of one process; the resumed ones last, as others have to save for them."""
    resumed = (False, True) if strategy in STARTS else (False,)
    found: Outcomes = {
        f"{name}{'<' if again else ''}": fit(strategy, name, model, reviews, out, again)
        for again in resumed
        for name in FITS
    }
    torch.save(found, out / f"{strategy}-{rank}.pt")


def main(model: str, reviews: str, out: str) -> int:
    """Fork a process for each rank of each strategy; 0 if all of them end well."""
    processes = {}
    for strategy, options in STRATEGIES.items():
        world_size = options().get("devices", 1)
        port = _free_port()
        for rank in range(world_size):
            pid = os.fork()
            if pid == 0:
                _become(rank, world_size, port)
                _exit_with(lambda s=strategy, r=rank: _run(s, r, model, Path(reviews), Path(out)))  # type: ignore[misc]
            processes[pid] = f"{strategy}-{rank}"
    while processes:
        pid, status = os.wait()
        ended = processes.pop(pid)
        if status:
            print(f"{ended} has failed", file=sys.stderr)
            for other in processes:  # they wait for it
                os.kill(other, signal.SIGKILL)
            return 1
    return 0


def _become(rank: int, world_size: int, port: int) -> None:
    """A process as torchrun starts it."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    if world_size > 1:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": world_size}
        os.environ.update(address, **{key: str(value) for key, value in ranks.items()})


def _exit_with(work: Callable[[], None]) -> None:
    status = 0
    try:
        work()
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)  # nothing of the parent's is this process' to clean up


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
