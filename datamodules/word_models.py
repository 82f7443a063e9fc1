"""What pretrained models know of words: their embeddings, and a masked language model's head."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datamodules.augmentation import Augmentation, Substitutes
from datamodules.masked_words import MaskedWords
from datamodules.whole_words import WholeWords
from datamodules.word_neighbours import WordNeighbours
from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.errors import InputError
from lightning_app.hub import hub_or_cache
from lightning_app.pretrained import (
    is_checkpoint,
    load_config,
    load_tokenizer,
    network_from_config,
    resolve_model,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_substitutes(
    name: str, augmentation: Augmentation, max_length: int, device: str | torch.device = "cpu"
) -> Substitutes:
    """Masked words where the model has a head for them, else neighbours; or what is asked for.

    Args:
        name: Hub id, folder, ``embedded``, or a checkpoint of `glint fit`.
        augmentation: Says what is asked for, and how many words.
        max_length: Longest text that a masked language model reads, in tokens.
        device: Where it reads.

    Raises:
        InputError: If a masked language model is asked for, and the model is none.
    """
    has_head = has_masked_head(name)
    if augmentation.masked and not has_head:
        raise InputError(
            "Expected a model with a head for masked language modelling for"
            f" `data.augmentation.masked: true`, got {name!r}; set it to false for neighbours in"
            " its word embeddings."
        )
    words = WholeWords(load_tokenizer(name))
    if has_head and augmentation.masked is not False:
        network = masked_language_model(name)
        return MaskedWords(words, network, augmentation.num_neighbours, max_length, device)
    return WordNeighbours(words, word_embeddings(name), augmentation.num_neighbours)


def has_masked_head(name: str) -> bool:
    """Whether a model was saved with its head for masked language modelling.

    Args:
        name: Hub id, folder, ``embedded``, or a checkpoint, which has none.
    """
    if is_checkpoint(name):
        return False
    saved = load_config(name).architectures or []
    return any(kind.endswith(("ForMaskedLM", "ForPreTraining")) for kind in saved)


def masked_language_model(name: str) -> "PreTrainedModel":
    """A model with its head for masked language modelling."""
    from transformers import AutoModelForMaskedLM

    place = resolve_model(name)
    with _loading(name), hub_or_cache(place):
        network: PreTrainedModel = AutoModelForMaskedLM.from_pretrained(place)
    return network


def word_embeddings(name: str) -> Tensor:
    """The word-embedding matrix, ``[vocabulary, hidden]``, float32.

    Args:
        name: Hub id, folder, ``embedded``, or a checkpoint of `glint fit`.
    """
    from transformers import AutoModel

    if is_checkpoint(name):
        return _of_checkpoint(name)
    place = resolve_model(name)
    with _loading(name), hub_or_cache(place):
        network: PreTrainedModel = AutoModel.from_pretrained(place)
    return _matrix(network).detach().float()


def _of_checkpoint(name: str) -> Tensor:
    checkpoint = read_glint_checkpoint(name)
    with torch.device("meta"):
        network = network_from_config(checkpoint["architecture"]["config"])
    matrix = _matrix(network)
    place = next(key for key, weights in network.named_parameters() if weights is matrix)
    weights: Tensor = checkpoint["state_dict"][f"network.{place}"]
    return weights.float()


def _matrix(network: "PreTrainedModel") -> Tensor:
    matrix: Tensor = network.get_input_embeddings().weight  # type: ignore[assignment]
    return matrix


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Which heads are left out or new is not news, and nothing random of a run depends on it."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(40)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"Expected {name!r} to be a model that `data.augmentation` can load: {reason}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
