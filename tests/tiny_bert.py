"""BERTs with random weights that fit and answer in milliseconds."""

from pathlib import Path
from typing import Any

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}


def save_bert(folder: Path, tokenizer: Any, seed: int, masked: bool = False, **sizes: Any) -> str:
    """Write network and tokenizer; `sizes` are in place of those above.

    With `masked` the head is for masked language modelling.
    """
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

    tokenizer.save_pretrained(folder)
    config = BertConfig(vocab_size=len(tokenizer), **{**SIZES, **sizes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BertForMaskedLM if masked else BertForSequenceClassification
        network(config).save_pretrained(folder)
    return str(folder)
