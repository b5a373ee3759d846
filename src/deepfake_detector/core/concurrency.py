"""A map over a stream, in threads, that keeps the order and reads only a little ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Generator[Result, None, None]:
    """``function(item)`` for each item, in order; at most ``2 * workers`` items ahead of the results taken.

    Items are read in the thread that takes the results. An exception of ``function`` is raised where its result would
    come. Close the generator to stop early: what has not begun is dropped, what runs is waited for.
    """
    ahead: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="map-ahead")
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) == 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
