"""Which of n things goes with which of m others, so that all pairs together fit best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_pairs(fit: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs (row, column) with the largest sum of ``fit`` (n, m), in the order of the rows.

    Each row and each column is in one pair at most; a pair with a fit of 0 or less is left out. Shortest augmenting
    paths (Jonker and Volgenant 1987), O(n³); exact.
    """
    rows, columns = fit.shape
    if rows > columns:
        return sorted((row, column) for column, row in best_pairs(fit.T))
    # A column of its own for each row, at no gain, lets a row stay alone.
    cost = np.concatenate([-np.maximum(fit, 0.0), np.zeros((rows, rows))], axis=1)
    row_of = np.full(cost.shape[1], -1)
    row_price, column_price = np.zeros(rows), np.zeros(cost.shape[1])
    for row in range(rows):
        _augment(cost, row, row_of, row_price, column_price)
    pairs = [(int(row), column) for column, row in enumerate(row_of[:columns]) if row >= 0 and fit[row, column] > 0.0]
    return sorted(pairs)


def _augment(
    cost: NDArray[np.float64],
    start: int,
    row_of: NDArray[np.int_],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Give the row a column, moving other rows along the cheapest path; the prices stay those of an optimum."""
    width = cost.shape[1]
    distance, before = np.full(width, np.inf), np.full(width, -1)
    done = np.zeros(width, dtype=bool)
    row, column, reached = start, -1, 0.0
    while row >= 0:
        if column >= 0:
            done[column] = True
        through = reached + cost[row] - row_price[row] - column_price
        shorter = ~done & (through < distance)
        distance[shorter], before[shorter] = through[shorter], column
        column = int(np.argmin(np.where(done, np.inf, distance)))
        reached, row = float(distance[column]), int(row_of[column])
    row_price[start] += reached
    row_price[row_of[done]] += reached - distance[done]
    column_price[done] -= reached - distance[done]
    while column >= 0:
        earlier = int(before[column])
        row_of[column] = start if earlier < 0 else row_of[earlier]
        column = earlier
