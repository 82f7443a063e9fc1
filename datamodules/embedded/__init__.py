"""A stand-in for GLUE made by our own code, for runs without a network."""

from datamodules.embedded.loading import load_embedded
from datamodules.embedded.rows import embedded_rows
from datamodules.embedded.tasks import TASKS

EMBEDDED_TASKS: tuple[str, ...] = tuple(TASKS)

__all__ = ["EMBEDDED_TASKS", "embedded_rows", "load_embedded"]
