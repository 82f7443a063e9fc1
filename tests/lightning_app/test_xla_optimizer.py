"""The optimizer for XLA devices is AdamW."""

import torch

from lightning_app.xla import XLAAdamW


def trained(optimizer: type[torch.optim.AdamW]) -> tuple[torch.Tensor, dict[str, object]]:
    torch.manual_seed(0)
    decayed, other = (torch.nn.Parameter(torch.randn(5, 3)) for _ in range(2))
    groups = [{"params": [decayed], "weight_decay": 0.1}, {"params": [other], "weight_decay": 0.0}]
    steps = optimizer(groups, lr=1e-2)
    inputs = torch.randn(8, 5)

    def loss() -> torch.Tensor:
        steps.zero_grad()
        found = (inputs @ (decayed + other)).square().mean()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    for rate in (1e-2, 1e-3, 1e-7):  # at the last the factor of the decay is 1 in float32
        for group in steps.param_groups:
            group["lr"] = rate
        assert steps.step(loss) > 0
    return torch.stack([decayed.detach(), other.detach()]), steps.state_dict()


def test_it_does_what_adamw_does_and_has_its_state() -> None:
    weights, state = trained(XLAAdamW)
    expected, state_of_adamw = trained(torch.optim.AdamW)
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)
    assert state["param_groups"] == state_of_adamw["param_groups"]
    torch.testing.assert_close(state["state"], state_of_adamw["state"], rtol=1e-5, atol=1e-7)
