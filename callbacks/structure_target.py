"""How much of a network's structure is to go."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from callbacks.mask_pattern import Scope
from callbacks.sparsity_plan import read_structure_plan
from lightning_app.errors import InputError
from lightning_app.functional.structure_choice import (
    Positions,
    Structures,
    cheapest_to_remove,
    least_important_by_layer,
    least_important_globally,
)
from modules.architecture import LayerShape
from modules.families import layer_parts
from modules.structure import encoder_flops, encoder_parameters
from modules.text_classifier import TextClassifier


@dataclass(frozen=True)
class StructureTarget:
    """Arguments of `callbacks.StructuredPruning` that say how much goes; see there."""

    heads: float = 0.0
    neurons: float = 0.0
    parameters: float | None = None
    flops: float | None = None
    sequence_length: int = 128
    scope: Scope = "layer"
    layout: Literal["free", "hf_uniform"] = "free"
    plan: str | None = None

    def __post_init__(self) -> None:
        for name in ("heads", "neurons", "parameters", "flops"):
            share = getattr(self, name)
            if share is not None and not 0 <= share < 1:
                raise InputError(f"Expected `{name}` to be in [0, 1), got {share}.")
        given = ("parameters", "flops", "plan")
        budgets = [name for name in given if getattr(self, name) is not None]
        if len(budgets) + bool(self.heads or self.neurons) > 1:
            raise InputError(
                f"Expected one target, got {', '.join(budgets)} beside heads={self.heads} and"
                f" neurons={self.neurons}; set `parameters`, or `flops`, or `plan`, or `heads` and"
                " `neurons`."
            )
        if self.scope not in ("layer", "global"):
            raise InputError(f"Expected `scope` to be `layer` or `global`, got {self.scope!r}.")
        if self.plan is not None and self.scope == "global":
            raise InputError(
                "Expected `scope: layer` with a `plan`, which says what each layer loses, got"
                " `global`; set `scope: layer`."
            )
        if self.layout not in ("free", "hf_uniform"):
            raise InputError(
                f"Expected `layout` to be `free` or `hf_uniform`, got {self.layout!r}."
            )
        if self.layout == "hf_uniform" and (self.heads or budgets or self.scope == "global"):
            raise InputError(
                "Expected `neurons` and `keep_layers` alone, with `scope: layer`, for"
                " `layout: hf_uniform`, as a `transformers` configuration has one width for all"
                f" layers and no number of heads apart from it; got heads={self.heads},"
                f" scope={self.scope!r}{''.join(f', {b}' for b in budgets)}; set `layout: free`."
            )

    @property
    def is_empty(self) -> bool:
        """Whether neither heads nor neurons are to go."""
        return not (self.heads or self.neurons or self.parameters or self.flops or self.plan)

    def shares(self, num_layers: int) -> tuple[list[float], list[float]]:
        """Shares of heads, and of neurons, that each layer loses; of the plan, if there is one."""
        if self.plan is not None:
            return read_structure_plan(self.plan, num_layers)
        return [self.heads] * num_layers, [self.neurons] * num_layers

    def largest_share(self, num_layers: int) -> float:
        """The share by which the target is followed on its way."""
        heads, neurons = self.shares(num_layers)
        return max(*heads, *neurons, self.parameters or 0.0, self.flops or 0.0)

    def choose(
        self, model: TextClassifier, heads: list[Tensor], neurons: list[Tensor], progress: float
    ) -> tuple[Positions, Positions]:
        """Which heads and neurons of each layer go.

        Args:
            model: With its network built.
            heads: For each layer the importance ``[heads]``.
            neurons: For each layer the importance ``[intermediate]``.
            progress: Share of the target to reach, in [0, 1].
        """
        if self.parameters is not None or self.flops is not None:
            return self._within_budget(model, heads, neurons, progress)
        shares = self.shares(len(heads))
        return (
            self._choose_kind("heads", heads, shares[0], progress),
            self._choose_kind("neurons", neurons, shares[1], progress),
        )

    def _choose_kind(
        self, kind: str, importance: list[Tensor], shares: list[float], progress: float
    ) -> Positions:
        _check_one_is_left(kind, importance, shares, self.plan)
        if self.scope == "global":
            return least_important_globally(importance, shares[0] * progress)
        return least_important_by_layer(importance, [share * progress for share in shares])

    def _within_budget(
        self, model: TextClassifier, heads: list[Tensor], neurons: list[Tensor], progress: float
    ) -> tuple[Positions, Positions]:
        share = self.flops if self.parameters is None else self.parameters
        assert share is not None
        shapes = [
            LayerShape(tuple(range(len(h))), len(n)) for h, n in zip(heads, neurons, strict=True)
        ]
        one_less = LayerShape(shapes[0].heads[1:], shapes[0].intermediate_size)
        one_narrower = LayerShape(shapes[0].heads, shapes[0].intermediate_size - 1)
        whole = self._cost(model, shapes[:1])
        kinds = [
            Structures(heads, whole - self._cost(model, [one_less])),
            Structures(neurons, whole - self._cost(model, [one_narrower])),
        ]
        try:
            chosen = cheapest_to_remove(kinds, share * progress * self._cost(model, shapes))
        except ValueError as error:
            raise InputError(str(error)) from error
        return chosen[0], chosen[1]

    def _cost(self, model: TextClassifier, shapes: list[LayerShape]) -> float:
        assert model.network is not None
        parts = layer_parts(model.network)[0]
        hidden = parts.output.out_features
        if self.parameters is not None:
            return encoder_parameters(shapes, hidden, parts.head_size)
        return encoder_flops(shapes, hidden, parts.head_size, self.sequence_length)


def _check_one_is_left(
    kind: str, importance: list[Tensor], shares: list[float], plan: str | None
) -> None:
    for layer, (values, share) in enumerate(zip(importance, shares, strict=True)):
        count = len(values)
        if round(share * count) >= count:
            where = f"`{kind}`" if plan is None else f"`plan`, for {kind} in {plan!r},"
            raise InputError(
                f"Expected {where} to leave at least one of the {count} {kind} of layer {layer},"
                f" got {share}; set at most {(count - 1) / count:.3g}."
            )
