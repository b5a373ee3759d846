"""What whoever runs the service may choose, from the environment; an unsafe combination does not start."""

from __future__ import annotations

import ipaddress
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.settings import Limits, VideoLimits

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MEGABYTE = 1024 * 1024

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0.0)]


def default_folder() -> Path:
    """Where uploads and the database lie unless told otherwise: the user's folder for application data."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "deepfake-detector"


class Keys(StrEnum):
    """Whether callers need an API key; ``auto`` asks for one wherever others than this machine can call."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class ServiceSettings(BaseSettings):
    """All settings. Each is read from ``DEEPFAKE_<NAME>``; docs/http.md says what they are for."""

    model_config = SettingsConfigDict(env_prefix="DEEPFAKE_", frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    folder: Path = Field(default_factory=default_folder)
    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("database_url", "DEEPFAKE_DATABASE_URL", "DATABASE_URL")
    )
    model: str | None = None
    trust_anchors: Path | None = None

    keys: Keys = Keys.AUTO
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    plain_http: bool = False

    workers: Count = Field(default_factory=lambda: os.cpu_count() or 1)
    worker_memory_mb: int = Field(default=2048, ge=512)
    analysis_timeout: Seconds = 60.0
    video_timeout: Seconds = 3600.0
    answer_within: Seconds = 20.0
    queue_size: Count = 256
    attempts: Count = 3
    lease: Seconds = 30.0

    max_upload_mb: Count = 64
    max_video_mb: Count = 512
    max_video_minutes: float = Field(default=60.0, gt=0.0)
    max_request_mb: Count = 256
    max_files: Count = 64
    max_pixels: Count = 50_000_000
    max_side: Count = 16_384
    upload_timeout: Seconds = 600.0
    idle_timeout: Seconds = 15.0
    disk_quota_mb: Count = 10_240
    key_quota_mb: Count = 2_048
    requests_per_minute: Count = 600
    connections: Count = 256
    retention_days: float = Field(default=7.0, gt=0.0)
    session_hours: float = Field(default=12.0, gt=0.0)

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: object) -> object:
        """``a.example, b.example`` → two names."""
        if isinstance(values, dict):
            for name in ("allowed_hosts", "trusted_proxies"):
                if isinstance(values.get(name), str):
                    values[name] = tuple(part.strip() for part in values[name].split(",") if part.strip())
        return values

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; give both or neither")
        if "*" in self.allowed_hosts or "*" in self.trusted_proxies:
            raise ValueError("* would allow every host; name those that are meant")
        if self.on_loopback:
            return self
        where = f"{self.host} can be reached by others"
        if self.keys is Keys.OFF:
            raise ValueError(f"{where}, so keys cannot be off; make one with `deepfake keys create NAME`")
        if _is_wildcard(self.host) and not self.allowed_hosts:
            raise ValueError(f"{where} under any name; set DEEPFAKE_ALLOWED_HOSTS to the names that it is called by")
        if not (self.encrypted or self.plain_http):
            raise ValueError(
                f"{where} and keys would travel in clear text; set DEEPFAKE_TLS_CERTIFICATE and DEEPFAKE_TLS_KEY, or "
                "DEEPFAKE_TRUSTED_PROXIES to the address of a proxy that does TLS, or, where nobody can listen, "
                "DEEPFAKE_PLAIN_HTTP=true"
            )
        return self

    @property
    def on_loopback(self) -> bool:
        """True if only this machine can connect."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def needs_keys(self) -> bool:
        """Whether callers must show an API key, or a session that began with one."""
        return self.keys is Keys.REQUIRED or (self.keys is Keys.AUTO and not self.on_loopback)

    @property
    def encrypted(self) -> bool:
        """True if callers come by HTTPS, here or at a proxy in front."""
        return self.tls_certificate is not None or bool(self.trusted_proxies)

    @property
    def hosts(self) -> frozenset[str]:
        """The host names, in lower case and without a port, that requests may be for."""
        named = tuple(name.lower() for name in self.allowed_hosts)
        own = () if _is_wildcard(self.host) else (self.host.lower(),)
        return frozenset((*named, *own, *(LOOPBACK_NAMES if self.on_loopback else ())))

    @property
    def database(self) -> str:
        """The SQLAlchemy URL: the one that was given, with psycopg for PostgreSQL, or SQLite in the folder."""
        if self.database_url is None:
            return f"sqlite:///{self.folder / 'service.sqlite3'}"
        url = self.database_url.get_secret_value()
        scheme, mark, rest = url.partition("://")
        return f"postgresql+psycopg{mark}{rest}" if scheme in ("postgres", "postgresql") else url

    @property
    def limits(self) -> Limits:
        """The limits of one picture."""
        return Limits(self.max_upload_mb * MEGABYTE, self.max_pixels, self.max_side)

    @property
    def video_limits(self) -> VideoLimits:
        """The limits of one video; one thread decodes, because each worker has one."""
        seconds = self.max_video_minutes * 60.0
        return VideoLimits(self.max_video_mb * MEGABYTE, seconds, max_decode_seconds=self.video_timeout, threads=1)

    @property
    def request_bytes(self) -> int:
        """How much one request may send: pictures in all, or one video and its form."""
        return max(self.max_request_mb, self.max_video_mb + 1) * MEGABYTE


def load_settings(**given: object) -> ServiceSettings:
    """The settings of the environment, with those of ``given`` that are not None on top.

    Raises ConfigError, which names the setting and never shows its value.
    """
    try:
        return ServiceSettings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        said = []
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(str(part) for part in problem["loc"])
            said.append(f"{place}: {problem['msg']}" if place else problem["msg"].removeprefix("Value error, "))
        raise ConfigError(f"the service cannot start: {'; '.join(said)}") from error


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
