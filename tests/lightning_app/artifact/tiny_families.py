"""Tiny base models of other families than BERT's, with the tiny model's words."""

from pathlib import Path

import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
)

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}
_READS_NO_TYPES = ("roberta", "distilbert", "mpnet")


def tiny_family(family: str, tiny_model: str, folder: Path) -> str:
    """Write one; its tokenizer is that of ``tiny_model``."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    if family in _READS_NO_TYPES:
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_config(_config(family, len(tokenizer)))
    network.save_pretrained(folder)
    return str(folder)


def _config(family: str, vocabulary: int) -> PreTrainedConfig:
    sizes = {**_SIZES, "vocab_size": vocabulary}
    if family == "distilbert":
        return DistilBertConfig(
            vocab_size=vocabulary,
            dim=32,
            n_layers=2,
            n_heads=2,
            hidden_dim=48,
            max_position_embeddings=128,
        )
    if family == "deberta-v2":
        positions = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
        return DebertaV2Config(**sizes, **positions, type_vocab_size=0)
    kinds = {
        "roberta": RobertaConfig,
        "electra": ElectraConfig,
        "albert": AlbertConfig,
        "mpnet": MPNetConfig,
    }
    return kinds[family](**sizes)
