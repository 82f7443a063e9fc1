"""Cut a network's parameters among the devices that train it (FSDP2)."""

from typing import TYPE_CHECKING

from torch import nn

from lightning_app.errors import InputError
from modules.reinitialization import encoder_layers

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from transformers import PreTrainedModel

DATA_PARALLEL, TENSOR_PARALLEL = "data_parallel", "tensor_parallel"


def shard_network(network: "PreTrainedModel", mesh: "DeviceMesh") -> None:
    """Leave on each device a part of every parameter; does nothing twice.

    A layer's parameters are whole while it computes: one layer at a time, and what is around the
    layers. Names in the state dict stay; parameters are new objects.

    Args:
        network: With its final structure.
        mesh: With a dimension ``data_parallel``.
    """
    if TENSOR_PARALLEL in (mesh.mesh_dim_names or ()) and mesh[TENSOR_PARALLEL].size() > 1:
        raise InputError(
            "Expected `tensor_parallel_size` to be 1, as encoders are cut by parameters and not"
            f" within products, got {mesh[TENSOR_PARALLEL].size()}."
        )
    for layer in _layers(network):
        shard_module(layer, mesh)
    shard_module(network, mesh)


def shard_module(module: nn.Module, mesh: "DeviceMesh") -> None:
    """The same for the parameters of any module that are not cut yet."""
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if not isinstance(module, FSDPModule):
        fully_shard(module, mesh=mesh[DATA_PARALLEL])


def _layers(network: "PreTrainedModel") -> list[nn.Module]:
    try:
        return list(encoder_layers(network))
    except InputError:  # ALBERT's layers are one
        return []
