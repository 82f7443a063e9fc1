from typing import Any

import pytest
import torch

from modules.acceleration import accelerate
from modules.families import layer_parts
from modules.gates import gates_closed
from modules.layer_replay import LayerReplay
from tests.modules.test_families import CONFIGS, IDS, MASK, tiny_network

BATCHES = [
    {"input_ids": IDS, "attention_mask": MASK},
    {"input_ids": IDS[:2, :5], "attention_mask": MASK[:2, :5]},
]


def whole(network: Any) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [network(**batch).logits for batch in BATCHES]


def replayed(replay: LayerReplay) -> list[torch.Tensor]:
    return [replay.logits(number) for number in range(len(BATCHES))]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))


@pytest.fixture(params=CONFIGS)
def network(request: pytest.FixtureRequest) -> Any:
    network = tiny_network(request.param).eval()
    accelerate(network)
    return network


@pytest.mark.parametrize("starts", [(0, 1, 2), (2,), (2, 1, 0), (1, 1)])
def test_the_same_to_the_bit_while_an_upper_layer_changes(
    network: Any, starts: tuple[int, ...]
) -> None:
    replay = LayerReplay(network, BATCHES)
    dense = whole(network)
    for start in starts:
        closed = [[0, 1] if layer == start else [] for layer in range(3)]
        with gates_closed(network, [[], [], []], closed):
            expected = whole(network)
            replay.start_at(start)
            assert same(replayed(replay), expected)
        assert not same(dense, expected)
        assert same(replayed(replay), dense)
    assert same(whole(network), dense)


def test_lower_layers_do_not_run_again_and_the_network_stays_as_it_was(network: Any) -> None:
    layers = [parts.layer for parts in layer_parts(network)]
    calls: list[int] = []
    for position, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, position=position: calls.append(position))
    replay = LayerReplay(network, BATCHES)
    replay.start_at(2)
    calls.clear()
    replayed(replay)
    assert calls == [2, 2]
    assert [parts.layer for parts in layer_parts(network)] == layers
    assert all(len(layer._forward_hooks) == 1 for layer in layers)


def test_an_error_within_leaves_the_network_whole(network: Any) -> None:
    replay = LayerReplay(network, BATCHES)
    replay.start_at(2)

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    handle = layer_parts(network)[2].layer.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        replay.logits(0)
    handle.remove()
    assert len(layer_parts(network)) == 3


def test_what_does_not_fit_is_computed_whole() -> None:
    network = tiny_network("bert").eval()
    calls: list[int] = []
    layer_parts(network)[0].layer.register_forward_hook(lambda *_: calls.append(0))
    needed = sum(batch["input_ids"].numel() for batch in BATCHES) * 16 * 4
    for room, expected in ((needed, 0), (needed - 1, 2)):
        replay = LayerReplay(network, BATCHES, max_bytes=room)
        replay.start_at(1)
        calls.clear()
        replayed(replay)
        assert len(calls) == expected


def test_other_families_are_computed_whole() -> None:
    from transformers import AlbertConfig, AlbertForSequenceClassification

    config = AlbertConfig(
        vocab_size=60,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
    )
    network = AlbertForSequenceClassification(config).eval()
    replay = LayerReplay(network, BATCHES)
    replay.start_at(1)
    assert same(replayed(replay), whole(network))
