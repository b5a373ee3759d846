"""Several members take the steps that one would take; here as threads of one process."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import load_state
from deepfake_detector.training.cluster.reducing import Reducer
from deepfake_detector.training.cluster.shared import SharedStepper, SharedTeam
from deepfake_detector.training.config import LossConfig
from deepfake_detector.training.fitdata import Part
from deepfake_detector.training.phases import Training, learn
from deepfake_detector.training.prepare import prepare
from deepfake_detector.training.steps import Stepper
from deepfake_detector.training.team import ALONE
from deepfake_detector.training.train import build


class Board:
    """Where threads lay down what is to be added up."""

    def __init__(self, size):
        self.parts, self.barrier = [None] * size, threading.Barrier(size, timeout=120)


class ThreadTeam(SharedTeam):
    def __init__(self, part, board):
        super().__init__(part)
        self.board = board

    def sum(self, numbers):
        self.board.parts[self.part.rank] = numbers
        self.board.barrier.wait()
        total = np.sum(self.board.parts, axis=0, dtype=numbers.dtype)
        self.board.barrier.wait()
        return total


def together(size, work):
    """``work(team)`` for each member at once."""
    board = Board(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, [ThreadTeam(Part(rank, size), board) for rank in range(size)]))


def test_members_merge_in_the_order_of_the_whole_and_say_the_same():
    rows = np.arange(14, dtype=np.float32).reshape(7, 2)
    for merged, said in together(3, lambda t: (t.merge(rows[t.part.places(7)]), t.same(np.array([t.part.rank + 0.1])))):
        np.testing.assert_array_equal(merged, rows)
        assert said == [0.1]


def test_only_the_first_works_and_the_others_wait():
    done = []

    def work(team):
        team.lead(lambda: done.append(team.part.rank))
        return tuple(done)

    assert together(3, work) == [(0,)] * 3


def linear():
    import keras

    features = keras.Input((2,))
    flat = keras.layers.Reshape(())
    outputs = {key: flat(keras.layers.Dense(1, kernel_initializer="ones")(features)) for key in ("fake", "kind")}
    return keras.Model(features, outputs)


@pytest.mark.parametrize("pictures", [8, 5, 2])
def test_a_step_of_a_team_is_the_step_of_one(pictures):
    import keras

    rng = np.random.default_rng(pictures)
    features = rng.normal(size=(pictures, 2)).astype(np.float32)
    answers, weights = (
        {key: rng.integers(0, 2, pictures).astype(np.float32) for key in ("fake", "kind")} for _ in range(2)
    )

    def stepper(kind, *team):
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.01, global_clipnorm=0.5)
        return kind(*team, linear(), optimizer, LossConfig(), 0.5)

    def shared(team):
        one = stepper(SharedStepper, team)
        chosen = team.part.places(pictures)
        part = [{key: value[chosen] for key, value in table.items()} for table in (answers, weights)]
        losses = [one.train(features[chosen], *part) for _ in range(3)]
        one.agree()
        return losses, [variable.numpy() for variable in one.variables()]

    alone = stepper(Stepper)
    losses = [float(alone.train(features, answers, weights)) for _ in range(3)]
    for found, variables in together(3, shared):
        np.testing.assert_allclose(found, losses, rtol=1e-5)
        for ours, theirs in zip(variables, alone.variables(), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_two_members_train_as_one_does_and_leave_one_set_of_checkpoints(tiny_settings, tmp_path):
    import keras

    config = tiny_settings("shared", model={"dropout": 0.0}, head={"epochs": 2}, train={"epochs": 1})

    def member(folder):
        keras.utils.set_random_seed(config.seed)
        return build(config.model, config.data.size), prepare(config, Callback()).fit, config, tmp_path / folder

    alone = Training(*member("alone"), Callback(), ALONE)
    learn(alone)
    ready = [member("team") for _ in range(2)]
    together(2, lambda team: learn(Training(*ready[team.part.rank], Callback(), team)))

    one, two = (load_state(tmp_path / folder) for folder in ("alone", "team"))
    assert [(c.phase, c.epoch, c.step) for c in two.checks] == [(c.phase, c.epoch, c.step) for c in one.checks]
    for name in ("loss", "val_loss", "set_auc"):
        found, expected = ([getattr(check, name) for check in state.checks] for state in (two, one))
        np.testing.assert_allclose(found, expected, atol=2e-3)
    for mine, theirs in zip(ready[0][0].get_weights(), ready[1][0].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    names = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("alone", "team")]
    assert names[0] == names[1]


def test_a_batch_that_cannot_be_shared_is_refused():
    assert Part(1, 4).share(32) == 8
    with pytest.raises(ConfigError, match=r"train\.batch_size is 30; make it a multiple of the number of workers, 4"):
        Part(1, 4).share(30)


def test_a_reducer_answers_each_turn_when_all_are_there():
    async def talk():
        reducer = Reducer(2)
        first = asyncio.create_task(reducer.add(1, 0, np.array([1.0], np.float32)))
        await asyncio.sleep(0)
        assert not first.done()
        early = asyncio.create_task(reducer.add(2, 1, np.array([5.0], np.float32)))
        second = await reducer.add(1, 1, np.array([2.0], np.float32))
        third = await reducer.add(2, 0, np.array([7.0], np.float32))
        return await first, second, third, await early

    assert [float(total[0]) for total in asyncio.run(talk())] == [3.0, 3.0, 12.0, 12.0]
