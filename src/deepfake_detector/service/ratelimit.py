"""So many requests a minute for each caller: a token bucket, in the memory of this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

MOST_CALLERS = 10_000
"""Beyond these, callers whose buckets are full again are forgotten."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """``per_minute`` requests, of which a sixth (at least ten) may come at once."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60.0
        self._size = max(per_minute / 6.0, 10.0)
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, caller: str) -> float:
        """Count a request; returns 0, or the seconds to wait before it may come."""
        at = time.monotonic()
        if len(self._buckets) > MOST_CALLERS:
            self._forget(at)
        bucket = self._buckets.setdefault(caller, _Bucket(self._size, at))
        bucket.tokens = min(self._size, bucket.tokens + (at - bucket.at) * self._rate)
        bucket.at = at
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / self._rate

    def _forget(self, at: float) -> None:
        full = self._size / self._rate
        self._buckets = {caller: bucket for caller, bucket in self._buckets.items() if at - bucket.at < full}
