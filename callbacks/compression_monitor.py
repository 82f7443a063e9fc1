"""What compression has done so far, in numbers and as a picture."""

from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.compression import Compression
from callbacks.structure_gates import closed_gates
from callbacks.structured_pruning import StructuredPruning
from modules.families import FAMILIES, layer_parts
from modules.structure import encoder_flops, layer_shapes
from modules.text_classifier import TextClassifier

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class CompressionMonitor(Callback):
    """Writes to TensorBoard, under ``compression/``: sparsity overall and by weight, mask churn,
    parameters, and FLOPs of the encoder; and after each validation pictures of the heads and
    neurons that are left in each layer, and of the sparsity of each weight.

    Without a compressing callback it writes nothing.

    Args:
        sequence_length: Tokens at which FLOPs count.
    """

    def __init__(self, sequence_length: int = 128) -> None:
        self.sequence_length = sequence_length

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write, every `trainer.log_every_n_steps` steps."""
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every or trainer.fit_loop._should_accumulate():
            return
        callbacks = _compressing(trainer)
        if callbacks and trainer.logger is not None and isinstance(pl_module, TextClassifier):
            values = self._sizes(pl_module)
            for callback in callbacks:
                values |= callback.metrics()
            named = {f"compression/{name}": value for name, value in values.items()}
            # Lightning numbers what it logs from 0.
            trainer.logger.log_metrics(named, trainer.global_step - 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, on the first process."""
        logger, callbacks = trainer.logger, _compressing(trainer)
        if trainer.sanity_checking or not trainer.is_global_zero or not callbacks:
            return
        if not isinstance(logger, TensorBoardLogger) or not isinstance(pl_module, TextClassifier):
            return
        step = max(trainer.global_step - 1, 0)  # as for the numbers
        left = structure_left(pl_module, callbacks)
        if left:
            logger.experiment.add_figure("compression/structure", _structure_picture(left), step)
        shares = {
            n: v for c in callbacks for n, v in c.metrics().items() if n.startswith("sparsity/")
        }
        if shares:
            logger.experiment.add_figure("compression/sparsity", _sparsity_picture(shares), step)

    def _sizes(self, model: TextClassifier) -> dict[str, float]:
        sizes = {"parameters": float(sum(p.numel() for p in model.parameters()))}
        assert model.network is not None
        if model.network.config.model_type in FAMILIES:
            parts = layer_parts(model.network)[0]
            shapes = layer_shapes(model.network)
            hidden = parts.output.out_features
            flops = encoder_flops(shapes, hidden, parts.head_size, self.sequence_length)
            sizes["encoder_gflops"] = flops / 1e9
        return sizes


def structure_left(model: TextClassifier, callbacks: list[Compression]) -> list[tuple[int, int]]:
    """Heads and neurons whose gates are open, for each layer; empty where gates are unknown."""
    assert model.network is not None
    if model.network.config.model_type not in FAMILIES:
        return []
    left = [(len(s.heads), s.intermediate_size) for s in layer_shapes(model.network)]
    for callback in callbacks:
        if isinstance(callback, StructuredPruning):
            closed = zip(*closed_gates(model, callback.masks), strict=True)
            left = [
                (heads - len(h), neurons - len(n))
                for (heads, neurons), (h, n) in zip(left, closed, strict=True)
            ]
    return left


def _compressing(trainer: Trainer) -> list[Compression]:
    return [c for c in trainer.callbacks if isinstance(c, Compression)]  # type: ignore[attr-defined]


def _structure_picture(left: list[tuple[int, int]]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.35 * len(left)), layout="constrained")
    for axes, name, counts in zip(
        figure.subplots(1, 2), ("heads", "FFN neurons"), zip(*left, strict=True), strict=True
    ):
        bars = axes.barh(range(len(counts)), counts, color="#4878a8")
        axes.bar_label(bars, padding=3)
        axes.set(title=f"{name} left", ylabel="layer", yticks=range(len(counts)))
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _sparsity_picture(shares: dict[str, float]) -> "Figure":
    """Layers by kinds of weight; `sparsity/layer.0.output.dense` is one cell."""
    from matplotlib.figure import Figure

    cells = {_place(name): share for name, share in shares.items()}
    layers = sorted({layer for layer, _ in cells})
    kinds = list(dict.fromkeys(kind for _, kind in cells))
    table = [[cells.get((layer, kind), float("nan")) for kind in kinds] for layer in layers]
    figure = Figure(figsize=(2 + 1.1 * len(kinds), 1.6 + 0.4 * len(layers)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for row, values in enumerate(table):
        for column, share in enumerate(values):
            if share == share:
                colour = "black" if share > 0.6 else "white"
                axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(kinds)), kinds, rotation=25, ha="right")
    axes.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    axes.set(title="Share of zeros", ylabel="layer")
    figure.colorbar(image, ax=axes)
    return figure


def _place(name: str) -> tuple[int, str]:
    parts = name.removeprefix("sparsity/").split(".")
    if parts[0] == "layer" and parts[1].isdigit():
        return int(parts[1]), ".".join(parts[2:])
    return -1, ".".join(parts)
