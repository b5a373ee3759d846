import itertools
import threading
import time

import pytest

from deepfake_detector.core.concurrency import ahead, map_ahead


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


def test_items_come_in_order_and_only_a_few_are_made_ahead():
    made = []

    def endless():
        for number in itertools.count():
            made.append(number)
            yield number

    items = ahead(endless(), room=3)
    for number in range(10):
        assert next(items) == number
        assert len(made) <= number + 4
    items.close()
    assert list(ahead(iter([]), room=2)) == []


def test_stages_in_a_row_work_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)

    def first():
        yield 0
        meeting.wait()  # for the second stage, which is at work on 0
        yield 1

    def second(numbers):
        for number in numbers:
            if number == 0:
                meeting.wait()
            yield number + 10

    assert list(ahead(second(ahead(first(), room=2)), room=2)) == [10, 11]


def test_an_error_comes_where_the_next_item_would():
    def breaks():
        yield 1
        raise KeyError("two")

    items = ahead(breaks(), room=4)
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)


def test_closing_early_closes_the_whole_row_and_leaves_no_thread():
    closed = []

    def numbers():
        try:
            yield from itertools.count()
        finally:
            closed.append("first")

    def doubled(items):
        try:
            for item in items:
                yield 2 * item
        finally:
            items.close()
            closed.append("second")

    before = threading.active_count()
    items = ahead(doubled(ahead(numbers(), room=2)), room=2)
    assert next(items) == 0
    items.close()
    assert closed == ["first", "second"]
    assert threading.active_count() == before
