import itertools
import threading
import time

import pytest

from deepfake_detector.core.concurrency import map_ahead


def test_results_come_in_order_whatever_takes_longest():
    def slow_first(number):
        time.sleep(0.02 if number % 3 == 0 else 0.0)
        return number * 10

    assert list(map_ahead(slow_first, range(20), workers=4)) == [number * 10 for number in range(20)]


def test_nothing_in_gives_nothing_out():
    assert list(map_ahead(str, [], workers=2)) == []


def test_reads_no_more_than_two_items_ahead_for_each_worker():
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield number

    results = map_ahead(abs, endless(), workers=3)
    assert taken == []
    for number in range(10):
        assert next(results) == number
        assert len(taken) <= number + 6
    results.close()


def test_works_in_as_many_threads_as_asked_for():
    meeting = threading.Barrier(3, timeout=10)
    # Each call waits for two others; with fewer threads the barrier would break.
    assert len(list(map_ahead(lambda _: meeting.wait(), range(6), workers=3))) == 6


def test_reads_the_items_in_the_thread_of_the_caller():
    readers = set()

    def items():
        for number in range(5):
            readers.add(threading.current_thread())
            yield number

    list(map_ahead(abs, items(), workers=2))
    assert readers == {threading.current_thread()}


def test_an_exception_comes_where_its_result_would():
    results = map_ahead(lambda number: 1 // number, [1, 1, 0, 1], workers=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_drops_what_has_not_begun_and_leaves_no_thread():
    begun = []
    before = threading.active_count()

    def work(number):
        begun.append(number)
        time.sleep(0.05)

    results = map_ahead(work, range(100), workers=1)
    next(results)
    results.close()
    assert len(begun) <= 3
    assert threading.active_count() == before
