"""The Optimal BERT Surgeon: Kurtic et al., 2022, arXiv:2203.07259, section 3.

The Hessian is taken as the dampened empirical Fisher matrix, of which only blocks of ``B``
consecutive weights along the diagonal are kept. A weight of any shape is flattened for it, and the
last block is filled up with zeros. The paper uses 1024 gradients, B = 50 and a dampening of 1e-7.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def fisher_blocks(gradients: Tensor, block_size: int) -> Tensor:
    """Sum over gradients of ``g g^T`` within blocks (section 3.1); `accumulate_fisher_` adds more.

    Args:
        gradients: ``[num_gradients, *weight.shape]``, one of a sample or mini-batch each.
        block_size: ``B``, at least 1. Memory is ``B`` times that of the weight.

    Returns:
        ``[num_blocks, B, B]``, not yet divided by the number of gradients; at least float32.

    Raises:
        ValueError: If the block size is below 1.
    """
    if block_size < 1:
        raise ValueError(f"Expected `block_size` to be at least 1, got {block_size}.")
    num_blocks = -(-gradients[:1].numel() // block_size)
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    empty = gradients.new_zeros(num_blocks, block_size, block_size, dtype=dtype)
    return accumulate_fisher_(empty, gradients)


def accumulate_fisher_(fisher: Tensor, gradients: Tensor) -> Tensor:
    """Adds ``g g^T`` of each gradient to the blocks, in place; all in one matrix product.

    Args:
        fisher: ``[num_blocks, B, B]``, the sum so far.
        gradients: ``[num_gradients, *weight.shape]``.

    Returns:
        ``fisher``.

    Raises:
        ValueError: If the gradients do not fill the blocks.
    """
    blocks = _in_blocks(gradients.detach().flatten(1).to(fisher.dtype), fisher, "gradients")
    by_block = blocks.transpose(0, 1)
    return fisher.baddbmm_(by_block.mT, by_block)


def inverse_fisher(
    fisher: Tensor, num_gradients: int, dampening: float, kept: Tensor | None = None
) -> Tensor:
    """Inverse of ``dampening * I + fisher / num_gradients``, block by block (section 3.1).

    Computed in the type of ``fisher``: in float32 a dampening below about 1e-6 of the largest
    eigenvalue of a block drowns in rounding.

    Args:
        fisher: ``[num_blocks, B, B]``, a sum over gradients.
        num_gradients: How many were summed, at least 1.
        dampening: Above 0, in units of a squared gradient.
        kept: Bool, the shape of the weight: what is False was pruned before, and is taken out of
            the problem (its row and column become those of the identity). Without it, such
            weights are moved away from 0 by `second_order_update`.

    Returns:
        ``[num_blocks, B, B]``.

    Raises:
        ValueError: If ``num_gradients`` or ``dampening`` is too small.
    """
    if num_gradients < 1:
        raise ValueError(f"Expected `num_gradients` to be at least 1, got {num_gradients}.")
    if not dampening > 0:
        raise ValueError(f"Expected `dampening` to be above 0, got {dampening}.")
    damped = fisher / num_gradients
    damped.diagonal(dim1=-2, dim2=-1).add_(dampening)
    if kept is not None:
        damped = _restrict(damped, _in_blocks(kept.flatten(), fisher, "kept"))
    factor, info = torch.linalg.cholesky_ex(damped)
    if bool(info.any()):
        raise ValueError(
            "Expected `dampening` to make all blocks positive definite in"
            f" {str(fisher.dtype).removeprefix('torch.')}, got {dampening}; raise it, and see that"
            " the gradients are finite."
        )
    return torch.cholesky_inverse(factor)


def second_order_scores(weight: Tensor, inverse: Tensor) -> Tensor:
    """Rise of the loss if one weight alone is pruned: ``w^2 / (2 [F^-1]_ii)`` (section 3.1).

    Args:
        weight: Any shape.
        inverse: ``[num_blocks, B, B]`` of `inverse_fisher`.

    Returns:
        The shape of ``weight``, in the type of ``inverse``; 0 for what is pruned already.

    Raises:
        ValueError: If the weight does not fill the blocks.
    """
    _check_numel(weight.numel(), inverse, "weight")
    diagonal = inverse.diagonal(dim1=-2, dim2=-1).flatten()[: weight.numel()].view(weight.shape)
    return weight.detach().to(inverse.dtype).square() / (2 * diagonal)


def diagonal_scores(weight: Tensor, squared_gradients: Tensor) -> Tensor:
    """Rise of the loss without each weight, ``w^2 F_ii / 2``, if the Fisher matrix were diagonal.

    Args:
        weight: Any shape.
        squared_gradients: Mean of squared gradients, ``F_ii``, of the shape of ``weight``.

    Returns:
        The shape of ``weight``.

    Raises:
        ValueError: If the shapes differ.
    """
    if weight.shape != squared_gradients.shape:
        raise ValueError(
            f"Expected `squared_gradients` to have the shape {tuple(weight.shape)} of `weight`,"
            f" got {tuple(squared_gradients.shape)}."
        )
    return weight.detach().square().mul_(squared_gradients).div_(2)


def second_order_update(weight: Tensor, inverse: Tensor, pruned: Tensor) -> Tensor:
    """Change of the weight when ``pruned`` are removed jointly and the others make up for it.

    It leads to the minimum of the quadratic model of the loss with zeros at Q: the weights of a
    block change by ``-F^-1[:, Q] (F^-1[Q, Q])^-1 w_Q`` (section 3.1).

    Args:
        weight: Any shape.
        inverse: ``[num_blocks, B, B]`` of `inverse_fisher`; with its ``kept``, what was pruned
            before is left alone, else the caller masks it again.
        pruned: Bool, the shape of ``weight``: Q, what is pruned now.

    Returns:
        What to add to ``weight``, in its shape and type; at Q exactly ``-weight``, so that the
        sum is exactly 0 there.

    Raises:
        ValueError: If the shapes differ or the weight does not fill the blocks.
    """
    if weight.shape != pruned.shape:
        raise ValueError(
            f"Expected `pruned` to have the shape {tuple(weight.shape)} of `weight`, got"
            f" {tuple(pruned.shape)}."
        )
    values = _in_blocks(weight.detach().flatten().to(inverse.dtype), inverse, "weight")
    chosen = _in_blocks(pruned.flatten(), inverse, "pruned")
    # One system of full size a block, with the identity outside Q, keeps the batch rectangular.
    removed = torch.where(chosen, values, 0).unsqueeze(-1)
    multipliers: Tensor = torch.linalg.solve(_restrict(inverse, chosen), removed)
    change = -(inverse @ multipliers).flatten()[: weight.numel()].view(weight.shape)
    return torch.where(pruned, -weight.detach(), change.to(weight.dtype))


def _restrict(matrices: Tensor, inside: Tensor) -> Tensor:
    """Rows and columns of the identity where ``inside [num_blocks, B]`` is False."""
    both = inside.unsqueeze(-1) & inside.unsqueeze(-2)
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    return torch.where(both, matrices, identity)


def _in_blocks(values: Tensor, matrices: Tensor, name: str) -> Tensor:
    """``[..., numel]`` as ``[..., num_blocks, B]``."""
    _check_numel(values.shape[-1], matrices, name)
    num_blocks, size = matrices.shape[:2]
    missing = num_blocks * size - values.shape[-1]
    padded = F.pad(values, (0, missing)) if missing else values
    return torch.unflatten(padded, -1, (num_blocks, size))


def _check_numel(numel: int, matrices: Tensor, name: str) -> None:
    num_blocks, size = matrices.shape[:2]
    if -(-numel // size) != num_blocks:
        raise ValueError(
            f"Expected `{name}` to fill {num_blocks} blocks of {size}, got {numel} entries."
        )
