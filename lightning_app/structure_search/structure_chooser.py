"""Choose the structure that changes a model's answers least within a budget."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lightning_app.structure_search.budget import Budget
from lightning_app.structure_search.latency_table import LatencyTable
from lightning_app.structure_search.structure_choice import StructureChoice

if TYPE_CHECKING:
    from datamodules import TextDataModule
    from modules.text_classifier import TextClassifier


def choose_structure(
    model: "TextClassifier",
    data: "TextDataModule",
    table: LatencyTable | None,
    length: int | Sequence[int],
    budget: Budget,
    num_rows: int = 256,
    num_candidates: int = 24,
    drop_layers: bool = True,
    nearest: bool = False,
    seed: int = 42,
    say: Callable[[str], None] = print,
    show_progress: bool = False,
) -> StructureChoice:
    """The structure that changes the model's answers least within a budget.

    The model is as it was afterwards. It may have been made smaller already: what is left can
    only shrink further.

    Args:
        model: With its network built, on the device to compute on.
        data: Of the model's task; its training rows are read.
        table: Of the base model's dimensions; None for budgets other than latency.
        length: As in :meth:`LatencyTable.predict`.
        budget: What it may cost.
        num_rows: Training rows on which answers are compared.
        num_candidates: Structures whose joint loss is measured; 1 for the solver's first alone.
        drop_layers: Whether whole layers may go.
        nearest: Where no structure meets the budget, return the nearest instead of an error.
        seed: Of the choice of rows and of the local search.
        say: Is told how it goes.
        show_progress: On the terminal.

    Raises:
        InputError: If no structure meets the budget; it names the smallest there is.
    """
    raise NotImplementedError
