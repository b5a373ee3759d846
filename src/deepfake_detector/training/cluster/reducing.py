"""Sums vectors over the members of a team through Ray actors: each of them adds up its share of every vector."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.cluster.shared import Number, SharedTeam
from deepfake_detector.training.fitdata import Part

if TYPE_CHECKING:
    from ray.actor import ActorHandle

NAMESPACE = "deepfake-detector"


class Reducer:
    """Adds up the parts that the members send for a turn, and answers each when all are there."""

    def __init__(self, members: int) -> None:
        self._members = members
        self._turns: dict[int, _Turn] = {}

    async def add(self, turn: int, rank: int, part: NDArray[Number]) -> NDArray[Number]:
        """The sum over the members, added in the order of their ranks, so that it is the same each time."""
        if turn not in self._turns:
            self._turns[turn] = _Turn()
        place = self._turns[turn]
        place.parts[rank] = part
        if len(place.parts) == self._members:
            place.total = np.sum([place.parts[rank] for rank in range(self._members)], axis=0, dtype=part.dtype)
            place.parts.clear()
            place.done.set()
            del self._turns[turn]
        await place.done.wait()
        total: NDArray[Number] = place.total
        return total


class _Turn:
    def __init__(self) -> None:
        self.parts: dict[int, NDArray[Any]] = {}
        self.total: Any = None
        self.done = asyncio.Event()


class RayTeam(SharedTeam):
    """The workers of a Ray Train run. There is a reducer for each, beside it, which sums its share of every vector:

    so a vector of n numbers costs each machine about 2 n numbers in and out, however many workers there are.
    """

    def __init__(self, part: Part, reducers: list[ActorHandle]) -> None:
        super().__init__(part)
        self._reducers = reducers
        self._turn = 0

    @classmethod
    def gathered(cls) -> RayTeam:
        """The team of the worker that calls this; all must. Reducers of an earlier, broken team are not met again."""
        import uuid

        import ray
        from ray import train
        from ray.train.collective import barrier, broadcast_from_rank_zero
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        context = train.get_context()
        part = Part(context.get_world_rank(), context.get_world_size())
        token = broadcast_from_rank_zero(uuid.uuid4().hex)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": here, "namespace": NAMESPACE}
        # Held by this object, it lives as long as the worker does.
        own = ray.remote(Reducer).options(name=f"{token}-{part.rank}", **options).remote(part.size)
        ray.get(own.__ray_ready__.remote())
        barrier()
        others = {rank: ray.get_actor(f"{token}-{rank}", NAMESPACE) for rank in range(part.size) if rank != part.rank}
        return cls(part, [others.get(rank, own) for rank in range(part.size)])

    def sum(self, numbers: NDArray[Number]) -> NDArray[Number]:
        """The sum of the vectors (n,) of all members, the same bits for each; waits for all."""
        import ray

        self._turn += 1
        shares = np.array_split(numbers, len(self._reducers))
        sums = [
            reducer.add.remote(self._turn, self.part.rank, share)
            for reducer, share in zip(self._reducers, shares, strict=True)
        ]
        return np.concatenate(ray.get(sums))
