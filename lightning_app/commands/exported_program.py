"""A network as a program of PyTorch's operators, with batch and sequence open."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from transformers import PreTrainedModel

_BATCH, _SEQ = 2, 10
"""Of the example; sizes of 1 would be taken for fixed."""


class LogitsOnly(nn.Module):
    """The network without what nobody reads behind its logits.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: "PreTrainedModel") -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """From ``[batch, seq]`` to ``[batch, num_labels]``."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        logits: Tensor = self.network(
            input_ids=input_ids, attention_mask=attention_mask, **types
        ).logits
        return logits


def export_program(
    network: "PreTrainedModel", inputs: Sequence[str], max_seq_length: int
) -> "ExportedProgram":
    """Trace the network; its attention becomes PyTorch's fused one.

    The first-token shortcut stays (`modules.first_token`): it is a slice in the graph.

    Args:
        network: Is changed.
        inputs: Names of what it reads.
        max_seq_length: Longest input in tokens.
    """
    network.eval()  # type: ignore[no-untyped-call]
    _use_plain_attention(network)
    longest = max(max_seq_length, _SEQ + 1)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq", max=longest)}
    example = {name: values for name, values in _example().items() if name in inputs}
    with torch.no_grad():
        return torch.export.export(
            LogitsOnly(network), (), example, dynamic_shapes=dict.fromkeys(example, sizes)
        )


def program_bytes(program: "ExportedProgram") -> bytes:
    """The archive, without what would be pickled, evaluated, or tells of this machine's folders."""
    plain = cast(Any, program)
    plain._example_inputs = None
    plain._guards_code = []
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node"):
            node.meta.pop(name, None)
        node.meta.pop("custom", None)
    content = io.BytesIO()
    torch.export.save(program, content)
    return content.getvalue()


def _use_plain_attention(network: "PreTrainedModel") -> None:
    try:
        network.set_attn_implementation("sdpa")
    except ValueError:  # a family with attention of its own keeps it
        network.set_attn_implementation("eager")


def _example() -> dict[str, Tensor]:
    ids = torch.arange(5, 5 + _BATCH * _SEQ).view(_BATCH, _SEQ)
    mask = torch.ones_like(ids)
    mask[1, _SEQ // 2 :] = 0
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(ids),
    }
