"""Movement pruning: Sanh, Wolf & Rush, 2020, arXiv:2005.07683.

Every weight ``W`` has a learned score ``S`` and the network computes with ``W * mask(S)``. The
hard version keeps the highest scores: ``threshold_mask(scores, sparsity)`` of
`lightning_app.functional.masks`.
"""

from torch import Tensor


def score_gradient(weight: Tensor, weight_gradient: Tensor) -> Tensor:
    """Gradient of the loss by the scores, straight through the mask (section 3).

    ``dL/dS = dL/dW' * W`` with ``W' = W * mask(S)``: scores of weights that move away from 0
    rise under gradient descent, scores of weights that shrink fall.

    Args:
        weight: ``W``, *before* the mask: where it is zeroed the score gets no gradient, and a
            pruned weight cannot come back.
        weight_gradient: ``dL/dW'``, the gradient by the masked weight, in the same shape and also
            where the mask is False.

    Returns:
        The shape of ``weight``.

    Raises:
        ValueError: If the shapes differ.
    """
    if weight.shape != weight_gradient.shape:
        raise ValueError(
            f"Expected `weight_gradient` to have the shape {tuple(weight.shape)} of `weight`, got"
            f" {tuple(weight_gradient.shape)}."
        )
    return weight_gradient.detach() * weight.detach()


def move_scores_(scores: Tensor, weight: Tensor, weight_gradient: Tensor, rate: float) -> None:
    """One step of gradient descent on the scores, in place: ``S -= rate * dL/dW' * W`` (section 3).

    In one pass over memory, with no other tensor made.

    Args:
        scores: ``S``.
        weight: ``W`` *before* the mask, in the shape of ``scores``, as for `score_gradient`.
        weight_gradient: ``dL/dW'``, in the shape of ``scores``.
        rate: Learning rate of the scores.
    """
    scores.addcmul_(weight.detach(), weight_gradient.detach(), value=-rate)


def soft_movement_mask(scores: Tensor, threshold: float) -> Tensor:
    """Keeps what has ``sigmoid(score) > threshold`` (section 4, as in the released code).

    The sparsity is not set but follows from the threshold and the weight of
    `score_regularization`.

    Args:
        scores: Any shape.
        threshold: In [0, 1); the paper uses 0.1.

    Returns:
        Bool, the shape of ``scores``, True = kept.

    Raises:
        ValueError: If the threshold is not in [0, 1).
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"Expected `threshold` to be in [0, 1), got {threshold}.")
    return scores.detach().sigmoid() > threshold


def score_regularization(scores: Tensor) -> Tensor:
    """Mean of ``sigmoid(score)``, the L1-like penalty of the soft version (section 4).

    The sum of the paper divided by the number of scores, as in the released code: its weight then
    means the same for matrices of all sizes.

    Args:
        scores: Any shape.

    Returns:
        A scalar in (0, 1), differentiable.
    """
    return scores.sigmoid().mean()


def score_regularization_gradient(scores: Tensor) -> Tensor:
    """Gradient of `score_regularization` by the scores, for those who keep scores out of autograd.

    Args:
        scores: Any shape.

    Returns:
        The shape of ``scores``.
    """
    kept = scores.detach().sigmoid()
    return kept * (1 - kept) / scores.numel()
