"""Analyses as the workers see them: taken, kept, finished, and taken up again after a crash.

A row is the job. Whoever takes one gets a lease; only its holder may write the end, so that an answer is written once
even if two processes believed that the job was theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select, update

from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.tables import SECOND, Analysis, State, new_id, now


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: with a report (JSON) and its verdict, or with the code and the message of an error."""

    report: str | None = None
    verdict: str | None = None
    p_fake: float | None = None
    error_code: str | None = None
    error_message: str | None = None


class Queue:
    """The workers' view of the table; ``lease`` is in seconds, ``attempts`` how often a job may be begun."""

    def __init__(self, database: Database, lease: float, attempts: int) -> None:
        self._database = database
        self._lease = int(lease * SECOND)
        self._attempts = attempts

    def take(self, *, videos: bool = True) -> Analysis | None:
        """The oldest job that waits (of a picture, without ``videos``), marked as ours; None if there is none."""
        waits = Analysis.state == State.QUEUED.value
        first = (
            select(Analysis.id)
            .where(waits if videos else and_(waits, Analysis.video.is_(False)))
            .order_by(Analysis.created, Analysis.position)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        at = now()
        taken = (
            update(Analysis)
            .where(Analysis.id == first, Analysis.state == State.QUEUED.value)
            .values(
                state=State.RUNNING.value,
                started=func.coalesce(Analysis.started, at),
                attempts=Analysis.attempts + 1,
                lease=new_id(),
                lease_until=at + self._lease,
            )
            .returning(Analysis)
        )
        with self._database.write() as session, session.begin():
            return session.scalar(taken)

    def begun(self, row: Analysis) -> None:
        """Make a row that is not in the table yet one that is ours from the start."""
        row.state, row.started, row.attempts = State.RUNNING.value, row.created, 1
        row.lease, row.lease_until = new_id(), row.created + self._lease

    def progress(self, job: Analysis, share: float, seconds_left: float | None) -> None:
        """Write how far a job is, 0–1, and about how long it will still take; nothing if it is no longer ours."""
        written = (
            update(Analysis)
            .where(Analysis.id == job.id, Analysis.lease == job.lease, Analysis.state == State.RUNNING.value)
            .values(progress=min(max(share, 0.0), 1.0), seconds_left=seconds_left)
        )
        with self._database.write() as session, session.begin():
            session.execute(written)

    def keep(self, leases: Sequence[str]) -> frozenset[str]:
        """Prolong these leases; returns those that are still held (the others were cancelled, deleted or lost)."""
        if not leases:
            return frozenset()
        kept = (
            update(Analysis)
            .where(Analysis.lease.in_(leases), Analysis.state == State.RUNNING.value)
            .values(lease_until=now() + self._lease)
            .returning(Analysis.lease)
        )
        with self._database.write() as session, session.begin():
            return frozenset(lease for lease in session.scalars(kept) if lease is not None)

    def finish(self, job: Analysis, outcome: Outcome) -> Analysis | None:
        """Write the end of a job, and return it; None if the lease is no longer ours, and nothing was written."""
        state = State.DONE if outcome.error_code is None else State.FAILED
        written = (
            update(Analysis)
            .where(Analysis.id == job.id, Analysis.lease == job.lease, Analysis.state == State.RUNNING.value)
            .values(
                state=state.value,
                progress=1.0,
                seconds_left=None,
                finished=now(),
                lease=None,
                lease_until=None,
                verdict=outcome.verdict,
                p_fake=outcome.p_fake,
                report=outcome.report,
                error_code=outcome.error_code,
                error_message=outcome.error_message,
            )
            .returning(Analysis)
        )
        with self._database.write() as session, session.begin():
            return session.scalar(written)

    def give_back(self, job: Analysis, *, counted: bool) -> None:
        """Let somebody else begin the job again; an attempt that was not the job's own fault does not count."""
        values = {"state": State.QUEUED.value, "lease": None, "lease_until": None} | _AT_THE_START
        with self._database.write() as session, session.begin():
            session.execute(
                update(Analysis)
                .where(Analysis.id == job.id, Analysis.lease == job.lease, Analysis.state == State.RUNNING.value)
                .values(values if counted else values | {"attempts": Analysis.attempts - 1})
            )

    def recover(self, *, all_running: bool = False) -> int:
        """Put jobs whose lease ran out (or all that run) back into the queue; returns how many.

        A job that was begun too often fails: it may be what brought the workers down.
        """
        lost = [Analysis.state == State.RUNNING.value]
        if not all_running:
            lost.append(or_(Analysis.lease_until.is_(None), Analysis.lease_until < now()))
        nothing = {"lease": None, "lease_until": None}
        failed = nothing | {
            "state": State.FAILED.value,
            "finished": now(),
            "error_code": "analysis_crashed",
            "error_message": CRASHED,
        }
        with self._database.write() as session, session.begin():
            session.execute(update(Analysis).where(*lost, Analysis.attempts >= self._attempts).values(failed))
            again = nothing | {"state": State.QUEUED.value} | _AT_THE_START
            back = update(Analysis).where(*lost).values(again).returning(Analysis.id)
            return len(tuple(session.scalars(back)))

    def counts(self) -> dict[str, int]:
        """How many analyses are in each state."""
        with self._database.read() as session:
            rows = session.execute(select(Analysis.state, func.count()).group_by(Analysis.state)).all()
        return {state.value: 0 for state in State} | {row[0]: row[1] for row in rows}


_AT_THE_START = {"progress": 0.0, "seconds_left": None}
CRASHED = "the analysis ended without an answer each time it was begun; save the picture anew as PNG or JPEG"
