import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, MPNetConfig

from modules.first_token import compute_first_token_only
from tests.modules.test_attention import CONFIGS, SMALL

KNOWN = {**CONFIGS, "mpnet": MPNetConfig(**SMALL)}
KNOWN.pop("albert")


@pytest.mark.parametrize("name", KNOWN)
def test_logits_and_gradients_do_not_change(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(KNOWN[name]).eval()
    names = list(model.state_dict())
    ids = torch.randint(5, 60, (3, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    labels = torch.tensor([0, 1, 0])

    before = model(ids, attention_mask=mask, labels=labels)
    before.loss.backward()
    gradients = [p.grad.clone() if p.grad is not None else None for p in model.parameters()]
    model.zero_grad()

    handle = compute_first_token_only(model)
    assert handle is not None
    assert model.base_model(ids, attention_mask=mask)[0].shape == (3, 1, 16)
    after = model(ids, attention_mask=mask, labels=labels)
    after.loss.backward()
    torch.testing.assert_close(after.logits, before.logits)
    for parameter, expected in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-7)
    assert list(model.state_dict()) == names

    handle.remove()
    assert model.base_model(ids, attention_mask=mask)[0].shape == (3, 9, 16)


def test_refuses_shared_layers_and_what_it_does_not_know() -> None:
    albert = AutoModelForSequenceClassification.from_config(CONFIGS["albert"])
    assert compute_first_token_only(albert) is None
    assert compute_first_token_only(nn.Linear(2, 2)) is None


def test_refuses_a_head_that_reads_other_tokens() -> None:
    model = AutoModelForSequenceClassification.from_config(CONFIGS["bert"])
    model.bert.pooler.forward = lambda hidden: hidden.mean(1)
    assert compute_first_token_only(model) is None
    ids = torch.randint(5, 60, (2, 7))
    assert model.bert(ids)[0].shape == (2, 7, 16)


def test_leaves_the_mode_as_it_was() -> None:
    model = AutoModelForSequenceClassification.from_config(CONFIGS["bert"]).train()
    compute_first_token_only(model)
    assert model.training
