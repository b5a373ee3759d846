"""The tables; times are microseconds since 1970 in UTC, which every database stores alike."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum

from sqlalchemy import BigInteger, Float, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

LOCAL = "local"
"""The owner of everything where no keys are needed."""

SECOND = 1_000_000


class State(StrEnum):
    """Where an analysis stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True if nothing will change any more."""
        return self in FINAL


FINAL = (State.DONE, State.FAILED, State.CANCELLED)


def now() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def new_id() -> str:
    """128 random bits in hexadecimal: nobody guesses the name of somebody else's analysis."""
    return secrets.token_hex(16)


class Base(DeclarativeBase):
    """The root of the tables; constraints have names, so that migrations can speak of them."""

    metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "pk": "pk_%(table_name)s"})


class Analysis(Base):
    """One file and its answer; while it is not final it is also the job that makes the answer.

    ``lease`` names the run that works on it until ``lease_until``: whoever holds another one may not write. ``stored``
    is the number of bytes of the upload on disk, 0 once it is gone.
    """

    __tablename__ = "analyses"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(32))
    batch: Mapped[str] = mapped_column(String(32), index=True)
    position: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16), default=State.QUEUED.value)
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    created: Mapped[int] = mapped_column(BigInteger, default=now)
    started: Mapped[int | None] = mapped_column(BigInteger)
    finished: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    stored: Mapped[int] = mapped_column(BigInteger, default=0)
    operating_point: Mapped[str] = mapped_column(String(8))
    prior: Mapped[float] = mapped_column(Float)
    all_faces: Mapped[bool] = mapped_column(default=False)
    explain: Mapped[bool] = mapped_column(default=False)
    video: Mapped[bool] = mapped_column(default=False)
    seconds_left: Mapped[float | None] = mapped_column(Float)
    verdict: Mapped[str | None] = mapped_column(String(16))
    p_fake: Mapped[float | None] = mapped_column(Float)
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    report: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_analyses_owner_created", "owner", "created", "id"),
        Index("ix_analyses_state_created", "state", "created", "position"),
    )


class ApiKey(Base):
    """A key, of which only the SHA-256 is kept (a key is 256 random bits, so that no slow hash is needed).

    Keys that replace each other share an ``owner``: what one of them made, the next one sees.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(255))
    created: Mapped[int] = mapped_column(BigInteger, default=now)
    expires: Mapped[int | None] = mapped_column(BigInteger)
    revoked: Mapped[int | None] = mapped_column(BigInteger)


class PageSession(Base):
    """Somebody who logged in on the page with a key; only the SHA-256 of the cookie is kept."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    csrf: Mapped[str] = mapped_column(String(64))
    expires: Mapped[int] = mapped_column(BigInteger)


class Idempotency(Base):
    """A request that must not be done twice: who sent it under which name, what it held, what it led to."""

    __tablename__ = "idempotency"

    owner: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    batch: Mapped[str] = mapped_column(String(32))
    created: Mapped[int] = mapped_column(BigInteger, default=now)
