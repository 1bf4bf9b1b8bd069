"""How well some of a layer's features explain what its outputs should be: block after block, and by least squares."""

import torch
from torch import Tensor


class Explanation:
    """The variance of outputs that features explain, as they are added block by block.

    Exact updates (Schur complements) of the features' covariance, (features, features), and of the outputs' with them,
    ``cross`` (outputs, features), given the features added so far: so what blocks explain together is the sum of their
    gains. ridge: a share of the features' mean variance, which is added to each.
    """

    def __init__(self, covariance: Tensor, cross: Tensor, ridge: float) -> None:
        self._left, self._cross = covariance + _ridge(covariance, ridge), cross.clone()

    def gains(self, blocks: Tensor) -> Tensor:
        """What each of ``blocks``, integers of shape (blocks, features of one), none added before, would add."""
        factors = torch.linalg.cholesky(self._left[blocks[:, :, None], blocks[:, None, :]])
        cross = self._cross[:, blocks].permute(1, 2, 0)
        return torch.linalg.solve_triangular(factors, cross, upper=False).square().sum((1, 2))

    def add(self, block: Tensor) -> None:
        """Features ``block``, integers, none added before, are known from now on."""
        factor = torch.linalg.cholesky(self._left[block][:, block])
        known = torch.linalg.solve_triangular(factor, self._left[block], upper=False)
        seen = torch.linalg.solve_triangular(factor, self._cross[:, block].T, upper=False)
        self._cross -= seen.T @ known
        self._left -= known.T @ known


def refit(weights: Tensor, covariance: Tensor, cross: Tensor, kept: Tensor, ridge: float) -> Tensor:
    """Weights (outputs, features) by which the features ``kept``, bool of shape (features,), give the outputs best.

    Least squares with a ridge around the given weights: W_S + (cross_S - W_S C_SS)(C_SS + r)^-1 for the features S that
    are kept, 0 for others; r is the share ``ridge`` of their mean variance. So the fit moves the weights no more than
    it has to where rows are few or features depend on each other.
    """
    inner, start = covariance[kept][:, kept], weights[:, kept]
    factor = torch.linalg.cholesky(inner + _ridge(inner, ridge))
    moved = torch.cholesky_solve((cross[:, kept] - start @ inner).T, factor)
    fitted = torch.zeros_like(weights)
    fitted[:, kept] = start + moved.T
    return fitted


def explained(weights: Tensor, covariance: Tensor, cross: Tensor) -> Tensor:
    """Of each output's variance what ``weights`` explain, whatever their scale, shape (outputs,)."""
    made = (weights @ covariance * weights).sum(1)
    return torch.where(made > 0, (weights * cross).sum(1).square() / made, 0.0)


def _ridge(covariance: Tensor, share: float) -> Tensor:
    mean = float(covariance.diagonal().mean()) if len(covariance) else 0.0
    return torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device) * (share * mean or 1.0)
