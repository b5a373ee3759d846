"""Streams whose work is done in threads: the order is kept, and only a little is read ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

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


def ahead(items: Iterator[Item], room: int) -> Generator[Item, None, None]:
    """The items in their order, made in a thread of their own, at most ``room`` ahead of those taken.

    An exception is raised where the next item would come. Close the generator to stop early: the item that is being
    made is waited for, and ``items`` is closed if it is a generator. Several of these in a row make a pipeline whose
    stages overlap and whose memory does not grow.
    """
    end = object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting: deque[Future[Item | object]] = deque(pool.submit(next, items, end) for _ in range(room))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield cast(Item, item)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(items, Generator):
            items.close()
