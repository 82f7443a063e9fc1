"""The training objective: a sum of named, weighted terms that callbacks may add to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

TermFunction = Callable[[dict[str, Any], Any], Tensor]
"""From the batch and the network's output to a scalar loss."""


@dataclass(frozen=True)
class Term:
    """One summand of the objective.

    Args:
        compute: The loss of a batch.
        weight: A factor, or a function that returns it at each step (a schedule).
        network_options: Keyword arguments that the forward pass needs for this term, for example
            ``{"output_hidden_states": True}``.
    """

    compute: TermFunction
    weight: float | Callable[[], float]
    network_options: dict[str, Any]

    def current_weight(self) -> float:
        """The factor at this step."""
        return self.weight() if callable(self.weight) else self.weight


class Objective:
    """Registry of the terms; it knows nothing of who added them.

    Example::

        model.objective.add("l2", lambda batch, out: out.logits.square().mean(), weight=0.01)
    """

    def __init__(self) -> None:
        self._terms: dict[str, Term] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, in the order in which they were added."""
        return tuple(self._terms)

    @property
    def network_options(self) -> dict[str, Any]:
        """Keyword arguments of the forward pass that the terms need together."""
        return {k: v for term in self._terms.values() for k, v in term.network_options.items()}

    def add(
        self,
        name: str,
        compute: TermFunction,
        weight: float | Callable[[], float] = 1.0,
        **network_options: Any,
    ) -> None:
        """Add a term under a new name.

        Raises:
            ValueError: If there is a term of that name.
        """
        if name in self._terms:
            raise ValueError(f"Expected a new name for an objective term, got {name!r} again.")
        self._terms[name] = Term(compute, weight, network_options)

    def remove(self, name: str) -> None:
        """Take a term out.

        Raises:
            ValueError: If there is none of that name.
        """
        self._check_known(name)
        del self._terms[name]

    def reweight(self, name: str, weight: float | Callable[[], float]) -> None:
        """Give a term another weight.

        Raises:
            ValueError: If there is none of that name.
        """
        self._check_known(name)
        self._terms[name] = replace(self._terms[name], weight=weight)

    def _check_known(self, name: str) -> None:
        if name not in self._terms:
            raise ValueError(
                f"Expected one of the objective's terms {', '.join(self._terms)}, got {name!r}."
            )

    def __call__(self, batch: dict[str, Any], outputs: Any) -> dict[str, Tensor]:
        """Weighted loss of each term, scalars; their sum is what is minimised."""
        return {
            name: term.current_weight() * term.compute(batch, outputs)
            for name, term in self._terms.items()
        }
