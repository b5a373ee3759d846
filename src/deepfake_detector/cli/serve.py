"""``deepfake serve``: the service and its page, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import show_note

if TYPE_CHECKING:
    from deepfake_detector.service.settings import ServiceSettings


def serve(
    *,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.", show_default="8000")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", file_okay=False, help="Where uploads and the database lie."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME|DIR",
            help="A shipped model, or the folder of a bundle.",
            show_default="the shipped one",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that analyse.", show_default="one for each CPU")
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="auto|required|off", help="Ask for API keys.", show_default="off on loopback"),
    ] = None,
) -> None:
    """Answer over HTTP, with a page for people. It listens on this machine only, unless told otherwise.

    All other settings come from the environment; see docs/http.md.
    """
    settings = open_settings(host=host, port=port, folder=folder, model=model, workers=workers, keys=keys)
    from deepfake_detector.service.run import serve as run

    def announce(address: str) -> None:
        need = "with keys" if settings.needs_keys else "without keys: only this machine can connect"
        print(f"{address} ({need}; Ctrl-C ends it)", flush=True)
        show_note(f"uploads and answers are kept for {settings.retention_days:g} days in {settings.folder}")

    run(settings, announce)


def open_settings(**given: object) -> ServiceSettings:
    """The settings of the service. Raises MissingExtraError without the extra [serve], ConfigError."""
    from deepfake_detector.core.errors import MissingExtraError

    try:
        import alembic  # noqa: F401
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401

        from deepfake_detector.service.settings import load_settings
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the service ({error.name})", "serve") from error
    return load_settings(**given)
