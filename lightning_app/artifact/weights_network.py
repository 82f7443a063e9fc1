"""Run a folder of format `hf`: safetensors, under the network that the record describes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lightning_app.artifact.manifest import Manifest
from lightning_app.artifact.runtime import RuntimeOptions
from lightning_app.artifact.text_encoder import Batch
from lightning_app.artifact.torch_threads import torch_threads
from lightning_app.errors import InputError
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What would make `transformers` look for code or kernels elsewhere.
_NOT_OF_THE_STRUCTURE = ("auto_map", "custom_pipelines", "quantization_config")
_NOT_OF_THE_STRUCTURE_ENDING = "_implementation"


class WeightsNetwork:
    """A `transformers` network with Glint's attention.

    Args:
        network: In evaluation mode.
        threads: To compute with.
    """

    def __init__(self, network: "PreTrainedModel", threads: int | None) -> None:
        self._network = network
        self._threads = threads

    @property
    def module(self) -> nn.Module:
        """What computes, with its weights."""
        return self._network

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits ``[batch, num_labels]``."""
        inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
        with torch.inference_mode(), torch_threads(self._threads):
            logits: npt.NDArray[np.float32] = self._network(**inputs).logits.float().numpy()
        return logits


def open_network(folder: Path, manifest: Manifest, options: RuntimeOptions) -> WeightsNetwork:
    """Build the network and load its weights.

    Raises:
        InputError: If record and weights do not make a network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / "model.safetensors"
    try:
        with torch.random.fork_rng(devices=[]):  # the weights that are drawn are replaced
            network = ArchitectureRecord.from_plain(_structure(manifest.architecture)).build()
        network.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"Expected in {str(file)!r} the weights of the network that the manifest describes,"
            f" but: {' '.join(str(error).split())[:200]}."
        ) from error
    network.eval()  # type: ignore[no-untyped-call]
    accelerate(network)
    return WeightsNetwork(network, options.threads)


def _structure(record: Any) -> dict[str, Any]:
    """The record, without what in its configuration is not of the network's structure."""
    config = {
        key: value
        for key, value in record["config"].items()
        if key not in _NOT_OF_THE_STRUCTURE and not key.endswith(_NOT_OF_THE_STRUCTURE_ENDING)
    }
    return {**record, "config": config}
