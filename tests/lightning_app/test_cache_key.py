import hashlib

import pytest
import torch

from lightning_app.cache_key import cache_key, hash_of_weights


def weights() -> dict[str, torch.Tensor]:
    return {
        "layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "layer.bias": torch.tensor([0.5, -0.5], dtype=torch.bfloat16),
        "position_ids": torch.arange(3),
        "num_batches": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
    }


def test_a_key_is_that_of_its_parts_whatever_their_order() -> None:
    text = '{"layout": 1, "parts": {"data": "abc", "max_seq_length": 128}}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert cache_key({"max_seq_length": 128, "data": "abc"}) == expected


def test_keys_tell_apart_parts_that_differ() -> None:
    parts: list[dict[str, object]] = [
        {"a": 1},
        {"a": "1"},
        {"b": 1},
        {"a": 1, "b": None},
        {"a": [1, 2]},
        {},
    ]
    assert len({cache_key(part) for part in parts}) == len(parts)


def test_a_part_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="type dtype is not JSON serializable"):
        cache_key({"dtype": torch.float32})


def test_the_hash_of_one_tensor_is_that_of_its_header_and_bytes() -> None:
    tensor = torch.tensor([1.0, 2.0])
    content = b'["w", "torch.float32", [2]]' + tensor.numpy().tobytes()
    assert hash_of_weights({"w": tensor}) == hashlib.sha256(content).hexdigest()


def test_the_hash_does_not_depend_on_the_order_the_strides_or_autograd() -> None:
    expected = hash_of_weights(weights())
    other = dict(reversed(weights().items()))
    other["layer.weight"] = torch.tensor([[1.0, 3.0], [2.0, 4.0]]).T.requires_grad_()
    assert hash_of_weights(other) == expected


@pytest.mark.parametrize("name", ["layer.weight", "layer.bias", "position_ids", "num_batches"])
def test_one_changed_weight_changes_the_hash(name: str) -> None:
    changed = weights()
    changed[name].view(-1)[-1] += 1
    assert hash_of_weights(changed) != hash_of_weights(weights())


def test_names_shapes_and_dtypes_count() -> None:
    weight = torch.zeros(2, 3)
    others = [{"w": weight}, {"v": weight}, {"w": weight.T}, {"w": weight.int()}]
    assert len({hash_of_weights(other) for other in others}) == 4
