import pytest
import torch

from modules.objective import Objective


def test_terms_are_weighted_and_keep_their_order() -> None:
    objective = Objective()
    objective.add("task", lambda batch, out: out * batch["scale"])
    objective.add("l2", lambda batch, out: out**2, weight=0.5)
    terms = objective({"scale": 2.0}, torch.tensor(3.0))
    assert objective.names == ("task", "l2")
    assert {name: term.item() for name, term in terms.items()} == {"task": 6.0, "l2": 4.5}


def test_a_schedule_is_asked_at_each_step() -> None:
    weights = iter([0.0, 0.25, 1.0])
    objective = Objective()
    objective.add("kd", lambda batch, out: out, weight=lambda: next(weights))
    values = [objective({}, torch.tensor(4.0))["kd"].item() for _ in range(3)]
    assert values == [0.0, 1.0, 4.0]


def test_gradient_is_that_of_the_weighted_sum() -> None:
    value = torch.tensor(3.0, requires_grad=True)
    objective = Objective()
    objective.add("a", lambda batch, out: out**2)
    objective.add("b", lambda batch, out: out, weight=0.5)
    torch.stack(list(objective({}, value).values())).sum().backward()
    assert value.grad == 6.5


def test_options_of_all_terms_are_passed_to_the_network() -> None:
    objective = Objective()
    objective.add("a", lambda batch, out: out, output_hidden_states=True)
    objective.add("b", lambda batch, out: out, output_attentions=True)
    assert objective.network_options == {"output_hidden_states": True, "output_attentions": True}
    objective.remove("b")
    assert objective.network_options == {"output_hidden_states": True}


def test_a_name_can_be_taken_once() -> None:
    objective = Objective()
    objective.add("kd", lambda batch, out: out)
    with pytest.raises(ValueError, match="new name for an objective term, got 'kd' again"):
        objective.add("kd", lambda batch, out: out)
    objective.remove("kd")
    objective.add("kd", lambda batch, out: out)
    assert objective.names == ("kd",)


def test_removing_an_unknown_term_lists_the_known() -> None:
    objective = Objective()
    objective.add("task", lambda batch, out: out)
    objective.add("l2", lambda batch, out: out)
    with pytest.raises(ValueError, match="terms task, l2, got 'kd'"):
        objective.remove("kd")
