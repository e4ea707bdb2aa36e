"""Tell people what needs them: failed audits and gates, regressions, audits that are due.

To the log always, to a webhook where one is set. A notice names a subject, a version and a figure;
it never carries a record, a label or a secret.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from memory_assets.config.yaml_files import read_yaml
from memory_assets.errors import InputError
from memory_assets.store.digest import digest
from memory_assets.store.disk import write_private

Event = Literal["failed audit", "failed gate", "regression", "audit due"]
EVENTS: tuple[Event, ...] = ("failed audit", "failed gate", "regression", "audit due")
SETTINGS_FILE = "notifications.yaml"
_URL, _FORMAT = "MEMORY_ASSETS_WEBHOOK", "MEMORY_ASSETS_WEBHOOK_FORMAT"
_TIMEOUT_SECONDS = 5.0
_ASIDE = "notices"

log = logging.getLogger("memory_assets.notifications")


class Settings(BaseModel):
    """What `notifications.yaml` may say; the environment goes before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: str | None = Field(default=None, description="http or https address to post to")
    format: Literal["json", "slack"] = "json"
    events: tuple[Event, ...] = EVENTS

    @field_validator("webhook")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        # What urlsplit says of an address quotes it.
        with suppress(ValueError):
            plain = url is None or (url.isascii() and url.isprintable() and " " not in url)
            if plain and (url is None or urlsplit(url).scheme in ("http", "https")):
                return url
        raise ValueError(
            "expected an address that begins with http:// or https://, without spaces and signs "
            "beyond ASCII"
        )


@dataclass(frozen=True)
class Notice:
    """One thing that somebody should know. `key` is the same for the same thing."""

    event: Event
    subject: str
    version: str
    text: str
    key: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


_NOTICES = TypeAdapter(Notice)


def read_settings(root: Path) -> Settings:
    """What `notifications.yaml` beside the project's `pyproject.toml` says; environment first.

    Raises:
        InputError: not YAML, an unknown key, or a value of the wrong kind.
    """
    path = root / SETTINGS_FILE
    given: Any = {}
    if path.is_file():
        given = read_yaml(path) or {}
    if not isinstance(given, dict):
        raise InputError(f"{path}: expected keys webhook, format and events")
    if url := os.environ.get(_URL):
        given["webhook"] = url
    if form := os.environ.get(_FORMAT):
        given["format"] = form
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        # The address may hold a token: the value is not repeated.
        raise InputError(f"{path} or {_URL}: {where}: {first['msg']}") from None


def _body(notice: Notice, form: str) -> bytes:
    if form == "slack":
        head = f"{notice.event}: {notice.subject} {notice.version}".strip()
        text = escape(f"*{head}*\n{notice.text}", quote=False)  # <!channel> would call everybody
        return json.dumps({"text": text}, ensure_ascii=False).encode()
    return json.dumps(notice.as_dict(), ensure_ascii=False).encode()


def post(notice: Notice, settings: Settings) -> bool:
    """Send one notice; True when it was taken, or when there is nobody to send it to.

    Never raises: what cannot be delivered is logged, and nothing waits for it.
    """
    if settings.webhook is None or notice.event not in settings.events:
        return True
    try:
        request = urllib.request.Request(
            settings.webhook,
            data=_body(notice, settings.format),
            headers={"Content-Type": "application/json; charset=utf-8"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
            return True
    except Exception as error:  # whoever answers decides what the client makes of it
        # Of an error only its kind and code: its text may hold the address.
        code = getattr(error, "code", None)
        known = code if isinstance(code, int) else ""
        log.warning("webhook not reached: %s %s", type(error).__name__, known)
        return False


def note(notice: Notice) -> None:
    """Write a notice to the log."""
    log.warning("%s: %s %s: %s", notice.event, notice.subject, notice.version, notice.text)


def put_aside(notice: Notice, home: Path) -> None:
    """Keep a notice that was not taken, for the sensor that sends again."""
    path = home / _ASIDE / f"{digest(notice.key)[:16]}.json"
    write_private(path, json.dumps(notice.as_dict()))


def put_by(home: Path) -> dict[Path, Notice]:
    """The notices that were put aside, by their files; whoever takes one removes its file.

    A file that is none is named in the log and called `.damaged`: it holds back no other.
    """
    found = {}
    for path in sorted((home / _ASIDE).glob("*.json")):
        try:
            found[path] = _NOTICES.validate_json(path.read_bytes(), strict=True)
        except (ValidationError, OSError) as error:
            log.warning("%s: not a notice (%s); it is left out", path, type(error).__name__)
            with suppress(OSError):
                path.replace(path.with_suffix(".damaged"))
    return found
