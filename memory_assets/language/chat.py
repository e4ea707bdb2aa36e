"""Prompts as a chat model reads them: behind the roles and marks of its tokenizer's chat template.

A template is a program that comes with the model's folder. It is run by transformers, in its
sandbox, in a process of its own that may neither think for ever nor take all memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_assets.errors import InputError
from memory_assets.records.texts import Texts

if TYPE_CHECKING:
    from memory_assets.language.model import LanguageModel

_SECONDS, _BYTES = 120, 2 << 30
"""What rendering all prompts of a file may take: computing time, and memory beside libraries."""
_WAIT = 4 * _SECONDS


def through_template(model: LanguageModel, texts: Texts, folder: str | Path) -> Texts:
    """The texts with what the model reads before each answer, where it has a chat template.

    With `chat: true` that is the prompt as the template renders it for an answer to follow; with
    `chat: false` prompt and answer stand as `template` of the texts joins them. The other ways,
    and the place of the answer in a whole conversation, are kept for probes (`Texts.also`).

    Raises:
        InputError: a template and prompts of which nobody says whether they belong together, `chat`
            without a template, or a template that cannot be run.
    """
    if not texts.prompts:
        return texts
    template = _template(model.tokenizer, folder)
    if template is None:
        if texts.chat:
            raise InputError(
                f"{folder}: its tokenizer has no chat template, and {texts.source} says chat: "
                "true; give the tokenizer that it was trained with, or say how prompt and answer "
                "were joined by template"
            )
        return texts
    if texts.chat is None:
        raise InputError(
            f"{folder}: its tokenizer has a chat template, and {texts.source} has prompts; add to "
            "members and held_out chat: true if it was trained on conversations by that template, "
            "or chat: false if on prompt and answer as separator or template joins them"
        )
    try:
        asked, spoken = _rendered(template, _special(model), texts)
    except InputError as error:
        if texts.chat:
            raise InputError(f"{folder}: {error}") from error
        notice = f"{error}; answers were not probed through it"
        return replace(texts, notices=(*texts.notices, notice))
    plain = texts.before
    if texts.chat:
        return replace(texts, rendered=asked, also=_others(asked, spoken, plain))
    return replace(texts, also=_others(plain, asked, spoken))


def _others(usual: tuple[str, ...], *ways: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Ways that differ from the usual one and from each other."""
    return tuple(way for way in dict.fromkeys(ways) if way != usual)


def _template(tokenizer: Any, folder: str | Path) -> str | None:
    """The template that is used where none is named."""
    found = getattr(tokenizer, "chat_template", None)
    if isinstance(found, dict):
        found = found.get("default")
        if found is None:
            raise InputError(
                f"{folder}: its tokenizer names several chat templates and none default; name the "
                "one that the model was trained with default"
            )
    if found is not None and not isinstance(found, str):
        raise InputError(f"{folder}: its chat template is a {type(found).__name__}; expected text")
    return found or None


def _special(model: LanguageModel) -> dict[str, str]:
    return {
        name: value
        for name, value in model.tokenizer.special_tokens_map.items()
        if isinstance(value, str)
    } | {"_start": model.tokenizer.bos_token or "" if model.start is not None else ""}


def _rendered(
    template: str, special: dict[str, str], texts: Texts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands before each answer: asked for it, and in the conversation that holds it."""
    job = {
        "template": template,
        "special": special,
        "prompts": texts.prompts,
        "answers": texts.texts,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_WAIT,
            check=False,
        )
        told = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        told = {"error": f"took more than {_SECONDS} seconds or {_BYTES >> 30} GiB"}
    if "error" in told:
        raise InputError(f"its chat template cannot be applied to a prompt: {told['error']}")
    return tuple(told["asked"]), tuple(told["spoken"])


def _limit() -> None:
    """Whoever exceeds these limits is ended by the system."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if _LINUX else 0
    most = pages * resource.getpagesize() + _BYTES
    if _LINUX:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))


_LINUX = sys.platform == "linux"


def _render(job: dict[str, Any]) -> dict[str, Any]:
    """What one process has to say: the two readings of every prompt, or why there are none."""
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit()
    start = job["special"].pop("_start")

    def render(messages: list[list[dict[str, str]]], asks: bool) -> list[str]:
        found = render_jinja_template(
            conversations=messages,  # pyright: ignore[reportArgumentType]
            chat_template=job["template"],
            add_generation_prompt=asks,
            **job["special"],
        )[0]
        # The start token that its tokenizer adds by itself stands there already.
        return [text.removeprefix(start) if start else text for text in found]

    users = [[{"role": "user", "content": prompt}] for prompt in job["prompts"]]
    try:
        asked = render(users, asks=True)
        if any(
            prompt.strip() not in text for prompt, text in zip(job["prompts"], asked, strict=True)
        ):
            return {"error": "what it gives does not hold the prompt"}
        whole = render(
            [
                [*user, {"role": "assistant", "content": answer}]
                for user, answer in zip(users, job["answers"], strict=True)
            ],
            asks=False,
        )
    except MemoryError:
        return {"error": "it needs too much memory"}
    except Exception as error:  # a template may raise anything
        line = " ".join(str(error).split())[:200]
        return {"error": f"{type(error).__name__}: {line}"}
    spoken = [
        text[: text.rindex(answer)] if answer in text else before
        for text, answer, before in zip(whole, job["answers"], asked, strict=True)
    ]
    return {"asked": asked, "spoken": spoken}


if __name__ == "__main__":
    print(json.dumps(_render(json.loads(sys.stdin.read()))))
