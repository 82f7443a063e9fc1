"""The accelerated network is the same network."""

import torch
from transformers import AutoModelForSequenceClassification

from modules.acceleration import accelerate
from modules.dropout import FastDropout


def test_logits_and_names_are_those_of_the_plain_network(tiny_model: str) -> None:
    plain = AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()
    fast = AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()
    handle = accelerate(fast)
    ids = torch.tensor([[2, 9, 10, 11, 3], [2, 12, 3, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    torch.testing.assert_close(fast(**inputs).logits, plain(**inputs).logits, rtol=0, atol=1e-6)
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert sum(isinstance(module, FastDropout) for module in fast.modules()) == 8
    assert handle is not None
    hidden = fast(**inputs, output_hidden_states=True).hidden_states[-1]
    assert hidden.shape == (2, 1, 32)
    handle.remove()
    hidden = fast(**inputs, output_hidden_states=True).hidden_states[-1]
    assert hidden.shape == (2, 5, 32)
