"""Means and covariances of many rows of features and outputs, added up batch by batch."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Of so many rows of features x and outputs y, float64: ``covariance`` is that of x, ``cross`` that of y and x.

    Shapes (features, features) and (outputs, features); ``output_variance`` is that of each output. About the origin
    means are 0, and covariances are E[xx'], E[yx'] and E[y^2]. A feature whose variance is 0 was exactly constant, or
    exactly 0 about the origin.
    """

    rows: int
    mean: Tensor
    covariance: Tensor
    output_mean: Tensor
    cross: Tensor
    output_variance: Tensor


class Sums:
    """Adds up rows, less the first one unless about the origin: what is constant has a variance of exactly 0."""

    def __init__(self, *, central: bool) -> None:
        self._central, self._rows = central, 0
        self._first = self._sum = self._products = torch.zeros(0)

    def add(self, rows: Tensor) -> None:
        """Features, then outputs, (rows, features + outputs)."""
        rows = rows.double()
        if not self._rows:
            self._first = rows[0].clone() if self._central else torch.zeros_like(rows[0])
            self._sum, self._products = torch.zeros_like(rows[0]), torch.zeros_like(torch.outer(rows[0], rows[0]))
        rows = rows - self._first
        self._rows += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows

    def moments(self, features: int) -> Moments:
        """Of rows of so many features."""
        mean, second = self._sum / self._rows, self._products / self._rows
        if self._central:
            mean, second = self._first + mean, second - torch.outer(mean, mean)
        else:
            mean = torch.zeros_like(mean)
        variance = second.diagonal()[features:]
        return Moments(
            self._rows,
            mean[:features],
            second[:features, :features],
            mean[features:],
            second[features:, :features],
            variance,
        )
