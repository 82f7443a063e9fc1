"""A network and the architecture record that describes it, changed together."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule
from torch.utils.hooks import RemovableHandle

from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord
from modules.fake_quantization import apply_quantization, quantization_of
from modules.network_inputs import network_inputs
from modules.norm_constants import norm_constants
from modules.operators import LayerConstants, Operators, apply_operators
from modules.quantization import Quantization
from modules.structure import keep_layers, layer_shapes, remove_heads_and_neurons

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class RecordedNetwork(LightningModule):
    """What callbacks do to a network's structure goes through here, so that the record follows.

    Attributes:
        network: Any sequence classification encoder; None until it is known.
        architecture: Rebuilds the network, without its weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network: PreTrainedModel | None = None
        self.architecture: ArchitectureRecord | None = None
        self._first_token_only: RemovableHandle | None = None

    def ensure_network(self) -> None:
        """Build the network if nothing has yet; for callbacks, which change it at `setup`."""
        raise NotImplementedError

    def set_network(self, network: "PreTrainedModel", architecture: ArchitectureRecord) -> None:
        """Train this network from now on.

        Args:
            network: Is put into training mode, and made fast on CPUs.
            architecture: Its record.
        """
        self.network, self.architecture = network, architecture
        self._first_token_only = accelerate(network.train())

    def prune_structure(
        self, heads: list[list[int]], neurons: list[list[int]], **details: Any
    ) -> None:
        """Remove attention heads and FFN neurons for good; the record follows.

        The weights that change are new `Parameter` objects: an optimizer must be made after it.

        Args:
            heads: For each layer the heads to remove, by their present position.
            neurons: For each layer the FFN neurons to remove, by their present position.
            **details: Plain values for the record's history.
        """
        assert self.network is not None, "configure_model comes first"
        remove_heads_and_neurons(self.network, heads, neurons)
        self._record_structure("prune_structure", **details)

    def keep_layers(self, layers: list[int], **details: Any) -> None:
        """Keep these encoder layers, by present position, and drop the others; the record follows.

        Args:
            layers: Ascending positions.
            **details: Plain values for the record's history.
        """
        assert self.network is not None, "configure_model comes first"
        keep_layers(self.network, layers)
        self._accelerate_again()  # another layer is the last one
        assert self.architecture is not None
        if self.architecture.operators is not None:
            operators = self.architecture.operators.of_layers(layers)
            self.architecture = self.architecture.with_operators(operators)
        # By the names that the layers have now.
        quantization = quantization_of(self.network)
        self.architecture = self.architecture.with_quantization(quantization)
        self._record_structure("keep_layers", layers=list(layers), **details)

    def set_operators(self, operators: Operators) -> None:
        """Bring activations and norms of the encoder layers into this state; the record follows.

        Parameters and names stay: an optimizer may be made before or after it.
        """
        assert self.network is not None, "configure_model comes first"
        assert self.architecture is not None
        before = self.architecture.operators
        apply_operators(self.network, operators)
        if operators.affine_norm is not None and (before is None or before.affine_norm is None):
            self._accelerate_again()  # the shortcut may have been a hook on a LayerNorm
        self.architecture = self.architecture.with_operators(operators)

    def set_quantization(self, quantization: Quantization) -> None:
        """Compute with these modules fake-quantized; the record follows.

        Parameters, names and hooks stay: it may be called at any time.
        """
        assert self.network is not None, "configure_model comes first"
        assert self.architecture is not None
        apply_quantization(self.network, quantization)
        self.architecture = self.architecture.with_quantization(quantization)

    def measure_norms(self, batches: Iterable[Mapping[str, Any]]) -> tuple[LayerConstants, ...]:
        """Constants for affines in place of the LayerNorms; see `modules.norm_constants`."""
        assert self.network is not None, "configure_model comes first"
        self._compute_all_tokens_if_read()
        return norm_constants(self.network, map(network_inputs, batches))

    def _reads_all_tokens(self) -> bool:
        """Whether something reads more of the last layer than its first token."""
        return False

    def _compute_all_tokens_if_read(self) -> None:
        if self._first_token_only is not None and self._reads_all_tokens():
            self._first_token_only.remove()

    def _accelerate_again(self) -> None:
        assert self.network is not None
        if self._first_token_only is not None:
            self._first_token_only.remove()
        self._first_token_only = accelerate(self.network)

    def _record_structure(self, operation: str, **details: Any) -> None:
        assert self.network is not None
        assert self.architecture is not None
        record = self.architecture.with_shapes(layer_shapes(self.network))
        self.architecture = record.with_operation(operation, **details)
