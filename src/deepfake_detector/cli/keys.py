"""``deepfake keys``: make, list, replace and end the API keys of the service."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from deepfake_detector.cli.console import show_note
from deepfake_detector.cli.serve import open_settings

if TYPE_CHECKING:
    from deepfake_detector.service.db.keys import KeyStore, NewKey, Scope

Found = TypeVar("Found")


class Action(StrEnum):
    """What to do with keys."""

    CREATE = "create"
    LIST = "list"
    ROTATE = "rotate"
    REVOKE = "revoke"


def keys(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME|ID]", help="A name for the new key; the id of the one to change.")
    ] = None,
    *,
    scopes: Annotated[
        str, typer.Option("--scopes", metavar="LIST", help="What it may do: analyze, read, delete, metrics.")
    ] = "analyze,read,delete",
    days: Annotated[float | None, typer.Option("--days", min=0.01, help="When it ends.", show_default="never")] = None,
    grace: Annotated[float, typer.Option("--grace", min=0, help="Days that a replaced key still works.")] = 1.0,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", file_okay=False, help="That of `deepfake serve`.")
    ] = None,
) -> None:
    """Make, list, replace or end API keys of the service; DATABASE_URL says where, else the folder's database.

    A new key is printed once, on standard output, and only its hash is kept.
    """
    if action is not Action.LIST and not name:
        raise typer.BadParameter(f"`deepfake keys {action.value}` needs a name or an id", param_hint="[NAME|ID]")
    # Only the database matters here: a key must be to be had before the service may listen anywhere.
    settings = open_settings(folder=folder, host="127.0.0.1")
    from deepfake_detector.service.db.engine import Database
    from deepfake_detector.service.db.keys import KeyStore
    from deepfake_detector.service.jobs.folder import Folder

    Folder(settings.folder)
    database = Database(settings.database)
    try:
        database.migrate()
        store = KeyStore(database)
        if action is Action.CREATE:
            _show(store.create(name or "", _scopes(scopes), days))
        elif action is Action.LIST:
            _list(store)
        elif action is Action.ROTATE:
            _show(_known(store.rotate(name or "", grace), name))
        else:
            _known(store.revoke(name or "") or None, name)
            show_note(f"{name} no longer works")
    finally:
        database.close()


def _scopes(text: str) -> tuple[Scope, ...]:
    from deepfake_detector.service.db.keys import Scope

    try:
        return tuple(Scope(word.strip()) for word in text.split(",") if word.strip())
    except ValueError as error:
        known = ", ".join(scope.value for scope in Scope)
        raise typer.BadParameter(f"{error}; the scopes are {known}", param_hint="--scopes") from error


def _known(found: Found | None, name: str | None) -> Found:
    if found is None:
        raise typer.BadParameter(f"there is no valid key with the id {name}; see `deepfake keys list`")
    return found


def _show(new: NewKey) -> None:
    print(new.secret)
    show_note(f"key {new.key.name!r}, id {new.key.id}, scopes: {new.key.scopes}. It is shown only now.")


def _list(store: KeyStore) -> None:
    for key in store.list():
        ended = "revoked" if key.revoked is not None else f"until {_day(key.expires)}" if key.expires else "valid"
        print(f"{key.id}  {_day(key.created)}  {ended:<16}  {key.scopes:<28}  {key.name}")


def _day(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d}"
