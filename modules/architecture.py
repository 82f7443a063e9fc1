"""What the network looks like, as plain data that every checkpoint carries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.pretrained import network_from_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

RECORD_VERSION = 1


@dataclass(frozen=True)
class ArchitectureRecord:
    """From it the network is rebuilt before weights are loaded, with no file and no network.

    Args:
        base_model: Where the weights came from: hub id, folder or ``embedded``.
        config: The `transformers` configuration as plain values, ``model_type`` included.
        history: The operations that led here, oldest first, each with its ``operation``.
    """

    base_model: str
    config: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of_config(cls, base_model: str, config: "PreTrainedConfig") -> "ArchitectureRecord":
        """The record of a network fresh from ``base_model``."""
        plain = json.loads(config.to_json_string(use_diff=False))
        plain["model_type"] = config.model_type
        return cls(base_model, plain, [{"operation": "load", "from": base_model}])

    def with_operation(self, operation: str, **details: Any) -> "ArchitectureRecord":
        """The record after one more operation; ``details`` are plain values."""
        entry = {"operation": operation, **details}
        return ArchitectureRecord(self.base_model, self.config, [*self.history, entry])

    def build(self) -> "PreTrainedModel":
        """The network, with random weights."""
        return network_from_config(self.config)

    def as_plain(self) -> dict[str, Any]:
        """Plain values, safe in a ``weights_only`` checkpoint."""
        return {
            "version": RECORD_VERSION,
            "base_model": self.base_model,
            "config": self.config,
            "history": self.history,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ArchitectureRecord":
        """Rebuild a record from :meth:`as_plain`.

        Raises:
            InputError: If a newer Glint wrote it.
        """
        if plain["version"] > RECORD_VERSION:
            raise InputError(
                f"Expected an architecture record of version {RECORD_VERSION} or older, got"
                f" {plain['version']}: the checkpoint was written by a newer Glint; update."
            )
        return cls(plain["base_model"], plain["config"], plain["history"])
