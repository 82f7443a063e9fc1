"""BERTs with random weights that fit and answer in milliseconds."""

from pathlib import Path
from typing import Any

WORDS = (
    "the a an it is was not and of to in he she they ate eaten by apple dog cat film book movie"
    " good bad great awful fine poor liked hated very so read saw sold found new old house . , ? !"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}


def tiny_tokenizer() -> Any:
    """WordPiece of some words and all letters."""
    from transformers import BertTokenizerFast

    pieces = [*SPECIAL, *WORDS.split(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizerFast(vocab=vocabulary)


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
