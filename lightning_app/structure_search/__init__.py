"""The best structure for a time: measured latency, measured losses, and a search over both."""

from lightning_app.structure_search.budget import Budget
from lightning_app.structure_search.latency_table import LatencyTable
from lightning_app.structure_search.structure_choice import LayerChoice, StructureChoice
from lightning_app.structure_search.structure_chooser import choose_structure

__all__ = ["Budget", "LatencyTable", "LayerChoice", "StructureChoice", "choose_structure"]
