"""API keys and the sessions of people who logged in with one; secrets are returned once and kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, or_, select, update

from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.tables import SECOND, ApiKey, PageSession, new_id, now

PREFIX = "dfk_"
"""How keys begin, so that scanners for leaked secrets can know them."""


class Scope(StrEnum):
    """What a key may do."""

    ANALYZE = "analyze"
    READ = "read"
    DELETE = "delete"
    METRICS = "metrics"


DEFAULT_SCOPES = (Scope.ANALYZE, Scope.READ, Scope.DELETE)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; ``secret`` is not kept anywhere."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class Login:
    """A session of the page with the key that it began with; ``csrf`` must come with whatever changes something."""

    key: ApiKey
    csrf: str


class KeyStore:
    """The keys and sessions in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: Iterable[Scope] = DEFAULT_SCOPES, days: float | None = None, owner: str | None = None
    ) -> NewKey:
        """Make a key; it ends after ``days``, or never. With ``owner``, it sees what that owner's keys made."""
        secret = PREFIX + secrets.token_urlsafe(32)
        name_of_key = new_id()
        key = ApiKey(
            id=name_of_key,
            owner=owner or name_of_key,
            name=name,
            digest=_digest(secret),
            scopes=" ".join(sorted(set(scopes))),
            created=now(),
            expires=None if days is None else now() + _days(days),
        )
        with self._database.write() as session, session.begin():
            session.add(key)
        return NewKey(key, secret)

    def rotate(self, name: str, grace_days: float) -> NewKey | None:
        """Make a key in the place of another, which ends after ``grace_days``; None if there is no valid one."""
        old = self.get(name)
        if old is None or not _is_valid(old):
            return None
        left = None if old.expires is None else (old.expires - now()) / _days(1)
        new = self.create(old.name, map(Scope, old.scopes.split()), left, old.owner)
        end = now() + _days(grace_days)
        with self._database.write() as session, session.begin():
            sooner = or_(ApiKey.expires.is_(None), ApiKey.expires > end)
            session.execute(update(ApiKey).where(ApiKey.id == name, sooner).values(expires=end))
        return new

    def revoke(self, name: str) -> bool:
        """End a key, and the sessions that began with it, at once; False if there is no such key."""
        with self._database.write() as session, session.begin():
            session.execute(delete(PageSession).where(PageSession.key_id == name))
            ended = update(ApiKey).where(ApiKey.id == name).values(revoked=now()).returning(ApiKey.id)
            return session.execute(ended).first() is not None

    def get(self, name: str) -> ApiKey | None:
        """A key by its id."""
        with self._database.read() as session:
            return session.get(ApiKey, name)

    def list(self) -> Sequence[ApiKey]:
        """All keys, the oldest first."""
        with self._database.read() as session:
            return tuple(session.scalars(select(ApiKey).order_by(ApiKey.created)))

    def any_valid(self) -> bool:
        """Whether anybody could call."""
        return any(_is_valid(key) for key in self.list())

    def find(self, secret: str) -> ApiKey | None:
        """The valid key with this secret."""
        with self._database.read() as session:
            return session.scalar(select(ApiKey).where(ApiKey.digest == _digest(secret), *_valid()))

    def log_in(self, key: ApiKey, hours: float) -> tuple[str, str]:
        """Begin a session; returns the cookie's value and the CSRF token."""
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        end = now() + int(hours * 3600 * SECOND)
        with self._database.write() as session, session.begin():
            session.execute(delete(PageSession).where(PageSession.expires < now()))
            session.add(PageSession(digest=_digest(cookie), key_id=key.id, csrf=csrf, expires=end))
        return cookie, csrf

    def session(self, cookie: str) -> Login | None:
        """The session with this cookie, while it and its key are valid."""
        wanted = (
            select(PageSession.csrf, ApiKey)
            .join(ApiKey, ApiKey.id == PageSession.key_id)
            .where(PageSession.digest == _digest(cookie), PageSession.expires >= now(), *_valid())
        )
        with self._database.read() as session:
            found = session.execute(wanted).first()
        return None if found is None else Login(found[1], found[0])

    def log_out(self, cookie: str) -> None:
        """End a session."""
        with self._database.write() as session, session.begin():
            session.execute(delete(PageSession).where(PageSession.digest == _digest(cookie)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _days(days: float) -> int:
    return int(days * 24 * 3600 * SECOND)


def _is_valid(key: ApiKey) -> bool:
    return key.revoked is None and (key.expires is None or key.expires > now())


def _valid() -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked.is_(None), or_(ApiKey.expires.is_(None), ApiKey.expires > now())
