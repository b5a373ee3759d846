"""Analyses as their owners see them: put in, looked up, listed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.tables import FINAL, Analysis, Idempotency, State, now

NAMES_AT_ONCE = 500
"""A statement may not have any number of parameters."""


class QueueFullError(Exception):
    """As many analyses wait as may wait."""


class QuotaError(Exception):
    """The files would take more room than they may; the message says whose room."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many analyses may wait, and how many bytes may lie on the disk: in all, and of one owner."""

    waiting: int
    total_bytes: int
    owner_bytes: int


@dataclass(frozen=True, slots=True)
class Retry:
    """The name that a client gave to a request, and the hash of what the request held."""

    key: str
    request: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which analyses a list shows; None shows all. ``before`` is the (created, id) after which a page begins."""

    state: State | None = None
    verdict: str | None = None
    batch: str | None = None
    before: tuple[int, str] | None = None


class Analyses:
    """The owners' view of the table. What belongs to another owner is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Analysis], room: Room, retry: Retry | None) -> Sequence[Analysis] | None:
        """Put analyses of one owner and batch into the table, all or none.

        Returns what is there now: the same, or what an earlier request of the same name and content led to; None if
        the earlier one had another content. Raises QueueFullError or QuotaError.
        """
        owner = new[0].owner
        if retry is not None and (known := self._earlier(owner, retry)) is not None:
            return known or None
        try:
            with self._database.write() as session, session.begin():
                _check_room(session, owner, new, room)
                session.add_all(new)
                if retry is not None:
                    session.add(Idempotency(owner=owner, key=retry.key, request=retry.request, batch=new[0].batch))
        except IntegrityError:
            # The same request came twice at once, and the other one was first.
            if retry is None or (known := self._earlier(owner, retry)) is None:
                raise
            return known or None
        return new

    def _earlier(self, owner: str, retry: Retry) -> Sequence[Analysis] | None:
        """What the request of this name led to: None if there was none, () if it had another content."""
        with self._database.read() as session:
            known = session.get(Idempotency, (owner, retry.key))
            if known is None:
                return None
            if known.request != retry.request:
                return ()
            rows = select(Analysis).where(Analysis.batch == known.batch, Analysis.owner == owner)
            return tuple(session.scalars(rows.order_by(Analysis.position))) or None

    def get(self, owner: str, name: str) -> Analysis | None:
        """One analysis by its id."""
        with self._database.read() as session:
            return session.scalar(select(Analysis).where(Analysis.id == name, Analysis.owner == owner))

    def batch(self, owner: str, batch: str) -> Sequence[Analysis]:
        """All that came in one request, in its order."""
        with self._database.read() as session:
            rows = select(Analysis).where(Analysis.batch == batch, Analysis.owner == owner)
            return tuple(session.scalars(rows.order_by(Analysis.position)))

    def list(self, owner: str, filters: Filters, limit: int) -> Sequence[Analysis]:
        """The newest first, without their reports."""
        wanted: list[ColumnElement[bool]] = [Analysis.owner == owner]
        for column, value in (
            (Analysis.state, filters.state),
            (Analysis.verdict, filters.verdict),
            (Analysis.batch, filters.batch),
        ):
            if value is not None:
                wanted.append(column == str(value))
        if filters.before is not None:
            created, name = filters.before
            wanted.append(or_(Analysis.created < created, and_(Analysis.created == created, Analysis.id < name)))
        with self._database.read() as session:
            rows = select(Analysis).where(*wanted).order_by(Analysis.created.desc(), Analysis.id.desc()).limit(limit)
            return tuple(session.scalars(rows.options(defer(Analysis.report))))

    def cancel(self, owner: str, name: str) -> bool:
        """Cancel one that is not final; False if there is no such one."""
        with self._database.write() as session, session.begin():
            done = session.execute(
                update(Analysis)
                .where(Analysis.id == name, Analysis.owner == owner, Analysis.state.not_in(FINAL))
                .values(state=State.CANCELLED.value, finished=now(), lease=None, lease_until=None)
                .returning(Analysis.id)
            )
            return done.first() is not None

    def delete(self, owner: str, name: str) -> bool:
        """Delete one; False if there is no such one."""
        with self._database.write() as session, session.begin():
            found = delete(Analysis).where(Analysis.id == name, Analysis.owner == owner).returning(Analysis.id)
            return session.execute(found).first() is not None

    def expire(self, before: int) -> Sequence[str]:
        """Delete what became final before this time, and the names of requests as old; returns the ids."""
        with self._database.write() as session, session.begin():
            old = delete(Analysis).where(Analysis.state.in_(FINAL), Analysis.finished < before).returning(Analysis.id)
            gone = tuple(session.scalars(old))
            session.execute(delete(Idempotency).where(Idempotency.created < before))
            return gone

    def known(self, names: Sequence[str]) -> frozenset[str]:
        """Which of these ids are in the table with a file."""
        found: set[str] = set()
        with self._database.read() as session:
            for start in range(0, len(names), NAMES_AT_ONCE):
                some = names[start : start + NAMES_AT_ONCE]
                found.update(session.scalars(select(Analysis.id).where(Analysis.id.in_(some), Analysis.stored > 0)))
        return frozenset(found)


def _check_room(session: Session, owner: str, new: Sequence[Analysis], room: Room) -> None:
    queued = sum(analysis.state == State.QUEUED for analysis in new)
    size = sum(analysis.stored for analysis in new)
    stored = select(func.coalesce(func.sum(Analysis.stored), 0))
    waits = select(func.count()).where(Analysis.state == State.QUEUED.value)
    parts = (waits, stored, stored.where(Analysis.owner == owner))
    waiting, total, own = session.execute(select(*(part.scalar_subquery() for part in parts))).one()
    if queued and waiting + queued > room.waiting:
        raise QueueFullError
    if total + size > room.total_bytes:
        raise QuotaError("the service")
    if own + size > room.owner_bytes:
        raise QuotaError("this key")
