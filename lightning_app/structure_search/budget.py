"""What a structure may cost."""

from dataclasses import dataclass

from lightning_app.errors import InputError


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost, in exactly one unit.

    Args:
        latency_ms: Of one forward call, as the latency table predicts it.
        parameters: Of the whole network, embeddings and head included.
        size_mb: Of the model's files, in 10^6 bytes, without tokenizer and graph.
    """

    latency_ms: float | None = None
    parameters: int | None = None
    size_mb: float | None = None

    def __post_init__(self) -> None:
        given = {n: v for n, v in vars(self).items() if v is not None}
        if len(given) != 1 or min(given.values()) <= 0:
            raise InputError(
                "Expected a budget of exactly one of `latency_ms`, `parameters` and `size_mb`,"
                f" above 0, got {given or 'none'}."
            )

    @property
    def name(self) -> str:
        """Of the unit."""
        return next(name for name, value in vars(self).items() if value is not None)

    @property
    def limit(self) -> float:
        """In that unit."""
        return float(getattr(self, self.name))
