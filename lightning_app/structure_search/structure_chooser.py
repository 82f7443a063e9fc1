"""Choose the structure that changes a model's answers least within a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_app.errors import InputError
from lightning_app.functional.latency_model import Sizes
from lightning_app.functional.structure_search import smallest_options
from lightning_app.structure_search.answer_distance import AnswerDistance
from lightning_app.structure_search.budget import Budget
from lightning_app.structure_search.candidate_search import Candidate, CandidateSearch, Chosen
from lightning_app.structure_search.latency_probes import ProbeGrid
from lightning_app.structure_search.latency_table import LatencyTable
from lightning_app.structure_search.layer_costs import LayerCostMeter
from lightning_app.structure_search.layer_sizes import LayerSizes
from lightning_app.structure_search.probe_family import ProbeFamily
from lightning_app.structure_search.recovery_trial import RecoveryTrial
from lightning_app.structure_search.regular_structures import regular_structures
from lightning_app.structure_search.structure_choice import StructureChoice, layer_choices
from lightning_app.structure_search.structure_prices import StructurePrices
from lightning_app.structure_search.structure_space import StructureSpace
from modules.network_inputs import network_inputs
from modules.structure import evaluation_mode, layer_shapes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from datamodules import TextDataModule
    from modules.text_classifier import TextClassifier

_BATCH_SIZE = 32
_SHORT = 32
"""Tokens of the mean row up to which short trainings take batches of 32 rows, else of 16."""
_IN_LAST_ROUND = 3
"""Structures that are trained for all steps; before that, all are for a quarter of them."""
_UNITS = {"latency_ms": "ms", "parameters": "parameters", "size_mb": "MB"}


def choose_structure(
    model: "TextClassifier",
    data: "TextDataModule",
    table: LatencyTable | None,
    length: int | Sequence[int],
    budget: Budget,
    num_rows: int = 256,
    num_candidates: int = 24,
    recovery_steps: int = 60,
    drop_layers: bool = True,
    nearest: bool = False,
    seed: int = 42,
    say: Callable[[str], None] = print,
    show_progress: bool = False,
    runtime: str = "hf",
) -> StructureChoice:
    """The structure within a budget whose answers are closest to the model's after some training.

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
        recovery_steps: That the best of these, and regular structures, are trained for before the
            last choice; 0 to choose by the answers without training.
        drop_layers: Whether whole layers may go.
        nearest: Where no structure meets the budget, return the nearest instead of an error.
        seed: Of the choice of rows and of the local search.
        say: Is told how it goes.
        show_progress: On the terminal.
        runtime: The format of `glint export` in which a budget of megabytes counts.

    Raises:
        InputError: If no structure meets the budget; it names the smallest there is. If the
            layers of the model's family cannot be changed.
    """
    assert model.network is not None
    prices = _prices(model.network, table, length, budget, runtime)
    shapes = layer_shapes(model.network)
    present = [(n, (len(s.heads), s.intermediate_size)) for n, s in enumerate(shapes)]
    if prices.total(present) <= budget.limit:
        say("The model meets the budget as it is.")
        parameters = StructurePrices.of_parameters(model.network).total(present)
        predicted = None if table is None else table.predict(shapes, length)
        return StructureChoice(layer_choices(shapes), predicted, int(parameters), 0.0)
    data.setup("fit")
    space = StructureSpace(_sizes(model, data, table, num_rows, seed), prices, drop_layers)
    if not nearest:
        _check_can_be_met(space, budget)
    with evaluation_mode(model):
        batches = _batches(model, data, num_rows, seed)
        distance = AnswerDistance(model, batches)
        trial = _trial(model, data, batches, recovery_steps, seed)
        search = _Search(model.network, space, distance, trial, budget.limit, say)
        found = search.found(num_candidates, seed, show_progress)
    return _choice(model.network, space, found, table, length, budget)


@dataclass(frozen=True)
class _Search:
    """Measures what layers cost, and searches.

    Args:
        network: In evaluation mode; left as it was.
        space: Of its structures.
        distance: Of its answers.
        trial: Trains the finalists; None to take the first of them.
        limit: Of the price.
        say: Is told how it goes.
    """

    network: "PreTrainedModel"
    space: StructureSpace
    distance: AnswerDistance
    trial: RecoveryTrial | None
    limit: float
    say: Callable[[str], None]

    def found(self, num_candidates: int, seed: int, show_progress: bool) -> Candidate:
        """The best within the limit; where there is none the smallest."""
        from tqdm import tqdm  # type: ignore[import-untyped]

        space = self.space
        meter = LayerCostMeter(self.network, self.distance, space.sizes, space.drop_layers)
        total = meter.num_measurements + num_candidates
        with tqdm(total=total, desc="Structures", disable=not show_progress) as bar:
            costs = meter.measure(bar.update)
            self.distance.start_at(0)
            search = CandidateSearch(
                costs,
                space.options,
                self.limit - space.prices.fixed,
                lambda chosen: space.price(chosen) <= self.limit,
                self._loss,
                seed,
            )
            best = search.best(num_candidates, bar.update)
            if best is None:
                smallest = space.smallest(costs)
                return Candidate(smallest, self._loss(smallest))
        if self.trial is None:
            return best
        others = regular_structures(space, self.limit, [of_layer.drop for of_layer in costs])
        finalists = [best.chosen, *(other for other in others if other != best.chosen)]
        chosen = self._winner(self.trial, finalists, show_progress)
        return Candidate(chosen, self._loss(chosen))

    def _winner(
        self, trial: RecoveryTrial, finalists: Sequence[Chosen], show_progress: bool
    ) -> Chosen:
        """The one that is closest to the model after training."""
        from tqdm import tqdm

        if len(finalists) == 1:
            return finalists[0]
        rounds = [(len(finalists), trial.num_steps // 4)] if len(finalists) > _IN_LAST_ROUND else []
        rounds.append((min(len(finalists), _IN_LAST_ROUND), trial.num_steps))
        left, losses = list(finalists), [0.0]
        total = sum(count * steps for count, steps in rounds)
        with tqdm(total=total, desc="Training finalists", disable=not show_progress) as bar:
            for count, steps in rounds:
                left = left[:count]
                losses = [trial.loss(self.space.layers(c), steps, bar.update) for c in left]
                left = [left[n] for n in sorted(range(count), key=losses.__getitem__)]
        self.say(
            f"{len(finalists)} structures were trained for a little while; the best comes to"
            f" {min(losses):.4f} of divergence from the model's answers."
        )
        return left[0]

    def _loss(self, chosen: Chosen) -> float:
        with self.space.applied(self.network, chosen):
            return self.distance.of_present_model()


def _prices(
    network: "PreTrainedModel",
    table: LatencyTable | None,
    length: int | Sequence[int],
    budget: Budget,
    runtime: str,
) -> StructurePrices:
    if budget.name == "parameters":
        return StructurePrices.of_parameters(network)
    if budget.name == "size_mb":
        return StructurePrices.of_size(network, runtime)
    if table is None:
        raise InputError(
            f"Expected a latency table for a budget of latency_ms={budget.limit:g}, got None;"
            " measure one with `LatencyTable.open_or_measure`."
        )
    return StructurePrices.of_time(table.at(length))


def _sizes(
    model: "TextClassifier",
    data: "TextDataModule",
    table: LatencyTable | None,
    num_rows: int,
    seed: int,
) -> list[LayerSizes]:
    from callbacks.structure_importance import measured_importance

    assert model.network is not None
    assert model.architecture is not None
    grid = (
        ProbeGrid.of(ProbeFamily(model.architecture, "hf"), data.max_seq_length)
        if table is None
        else table.grid
    )
    importance = measured_importance(data, model, num_rows, seed)
    layers = zip(layer_shapes(model.network), *importance, strict=True)
    return [LayerSizes.of_layer(shape, grid, *of_layer) for shape, *of_layer in layers]


def _batches(
    model: "TextClassifier",
    data: "TextDataModule",
    num_rows: int,
    seed: int,
    skip: int = 0,
    batch_size: int = _BATCH_SIZE,
) -> list[dict[str, Tensor]]:
    return [
        {name: values.to(model.device) for name, values in network_inputs(batch).items()}
        for batch in data.calibration_loader(num_rows, batch_size, seed, skip)
    ]


def _trial(
    model: "TextClassifier",
    data: "TextDataModule",
    held_back: Sequence[dict[str, Tensor]],
    num_steps: int,
    seed: int,
) -> RecoveryTrial | None:
    """Learns from rows other than those that are compared, where there are enough."""
    if num_steps == 0:
        return None
    num_held_back = sum(len(batch["input_ids"]) for batch in held_back)
    tokens = sum(int(batch["attention_mask"].sum()) for batch in held_back)
    rows = _BATCH_SIZE if tokens <= _SHORT * num_held_back else _BATCH_SIZE // 2
    trained = _batches(model, data, num_steps * rows, seed, num_held_back, rows)
    if len(trained) < num_steps:
        trained = _batches(model, data, num_steps * rows, seed, batch_size=rows)
    order = torch.randperm(len(trained), generator=torch.Generator().manual_seed(seed))
    return RecoveryTrial(model, [trained[n] for n in order[:num_steps].tolist()], held_back, seed)


def _check_can_be_met(space: StructureSpace, budget: Budget) -> None:
    smallest = smallest_options(space.options)
    lowest = space.price(smallest)
    if lowest > budget.limit:
        unit = _UNITS[budget.name]
        raise InputError(
            f"Expected a budget that some structure meets, got {budget.name}={budget.limit:g}: the"
            f" smallest there is, {_in_words(space.kept(smallest))}, takes"
            f" {lowest:,.6g} {unit}; ask for at least that, or for `nearest`."
        )


def _in_words(kept: Sequence[tuple[int, Sizes]]) -> str:
    layers = "; ".join(f"{heads} heads and {width} neurons" for _, (heads, width) in kept)
    return f"{len(kept)} layers of {layers}" if len(kept) > 1 else f"one layer of {layers}"


def _choice(
    network: "PreTrainedModel",
    space: StructureSpace,
    found: Candidate,
    table: LatencyTable | None,
    length: int | Sequence[int],
    budget: Budget,
) -> StructureChoice:
    layers = space.layers(found.chosen)
    shapes = [layer.shape for layer in layers if layer.shape is not None]
    parameters = StructurePrices.of_parameters(network).total(space.kept(found.chosen))
    return StructureChoice(
        layers=layers,
        predicted_ms=None if table is None else table.predict(shapes, length),
        parameters=int(parameters),
        loss=found.loss,
        meets_budget=space.price(found.chosen) <= budget.limit,
    )
