"""Opens the database and brings it up to date: SQLite in WAL mode, or PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from deepfake_detector.core.errors import ConfigError, MissingExtraError

SQLITE_WAIT = 15.0
"""Seconds that a writer waits for another one."""

MIGRATION_LOCK = 0x6465_6570
"""The advisory lock of PostgreSQL under which one process at a time migrates."""


class Database:
    """An engine with sessions for reading and for writing. Raises ConfigError or MissingExtraError."""

    def __init__(self, url: str) -> None:
        self.engine = _open(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        self._read = sessionmaker(self.engine.execution_options(read=True), expire_on_commit=False)

    def migrate(self) -> None:
        """Bring the tables to the form that this version wants."""
        from alembic import command

        try:
            with self.engine.begin() as connection:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATION_LOCK})
                command.upgrade(migrations(connection), "head")
        except SQLAlchemyError as error:
            raise ConfigError(f"the database cannot be used: {_first_line(error)}") from error

    def read(self) -> Session:
        """A session that only asks."""
        return self._read()

    def write(self) -> Session:
        """A session for one transaction that writes; use ``with database.write() as session, session.begin():``."""
        return self._write()

    def answers(self) -> bool:
        """Whether the database can be reached."""
        try:
            with self.read() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def migrations(connection: Connection) -> Any:
    """What Alembic needs to know: where the migrations are, and the connection to use."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _open(url: str) -> Engine:
    try:
        if not url.startswith("sqlite:"):
            return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
        engine = create_engine(url, connect_args={"timeout": SQLITE_WAIT, "check_same_thread": False})
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"a database of this kind ({error.name})", "postgres") from error
    except SQLAlchemyError as error:
        # Never the URL itself: it may hold a password.
        raise ConfigError("DATABASE_URL is not the URL of a database; give sqlite:///… or postgresql://…") from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = connection.cursor()
    # With WAL, NORMAL loses nothing when the process is killed; a power cut may cost the last moments.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: one that began by reading could not wait for another writer."""
    reads = connection.get_execution_options().get("read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
