"""Read torch's distributed checkpoints without running anything that is in them."""

import pickle
from typing import Any

from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta

CLASSES = {
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "WindowsPath", "PurePosixPath"},
    "torch": {"Size", "device"},
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.serialization": {"_get_layout"},
}
"""What an index is made of: records without behaviour, and a look-up of layouts."""


class SafeReader(FileSystemReader):
    """Reads the index with the classes of an index alone."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index of the parts.

        Raises:
            pickle.UnpicklingError: If it names anything else.
        """
        with self.fs.create_stream(self._get_metadata_path(kwargs.get("rank")), "rb") as file:
            metadata: Metadata = _IndexUnpickler(file).load()
        if metadata.storage_meta is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class AllTensors(_EmptyStateDictLoadPlanner):
    """Asks for every tensor there is, whole; there is nothing but tensors."""

    def load_bytes(self, read_item: Any, value: Any) -> None:
        """Refuse what torch would unpickle."""
        raise pickle.UnpicklingError(f"{read_item.dest_index.fqn} is no tensor")


class _IndexUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        import torch

        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if name not in CLASSES.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} does not belong into an index")
        return super().find_class(module, name)
