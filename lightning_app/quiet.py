"""Keep what others print for their own developers away from our users."""

import logging
import warnings


def silence_noise() -> None:
    """Drop known messages that ask nothing of the user; each is listed with its reason."""
    # Lightning 2.6 calls an API of torch that 2.13 has deprecated.
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # Its averaging callbacks warn of sharded models whenever a module has `configure_model`.
    warnings.filterwarnings("ignore", message="You're using the WeightAveraging callback with a")
    # Mixed precision keeps 32-bit weights, so the size that it then gives is right.
    warnings.filterwarnings("ignore", message="Precision .*-mixed is not supported by the model s")
    # `transformers` imports torchao where there is one, which brings kernels of another torch, and
    # calls an API of torch that 2.13 has deprecated.
    logging.getLogger("torchao").setLevel(logging.ERROR)
    logging.getLogger("torch.utils._pytree").addFilter(_is_not_of_enums)
    # An advertisement.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip")


def _is_not_of_enums(record: logging.LogRecord) -> bool:
    return "is an Enum subclass" not in record.getMessage()
