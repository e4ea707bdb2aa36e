"""An answer that a chat model learned behind its template is asked for behind its template."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from reciting_model import RECIPE, sentences

from memory_assets.config.language_model import LanguageModelSubject, TextsSpec
from memory_assets.errors import InputError
from memory_assets.examples.notes import train, train_tokenizer
from memory_assets.language.audit import audit_language_model
from memory_assets.language.chat import through_template
from memory_assets.language.model import load_language_model, load_tokenizer
from memory_assets.language.options import LanguageOptions
from memory_assets.language.result import LanguageAudit
from memory_assets.records.texts import Texts, load_texts
from memory_assets.validity.verdict import Gate, decide

pytestmark = pytest.mark.slow

TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}: {{ m['content'] }}]"
    "{% if m['role'] == 'user' %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant: {% endif %}"
)
OPTIONS = LanguageOptions(
    prefix=8, suffix=50, generated=0, attacks=("loss",), control_texts=100, least_answer=3
)
GATE = Gate({"extraction_rate": 0.2})


def pairs(name: str, count: int, seed: int, chat: bool | None = None) -> Texts:
    asked, told = sentences(name, count, seed), sentences(name, count, seed + 100)
    answers = tuple(" ".join(text.split()[:6]) for text in told.texts)
    return Texts(asked.ids, answers, prompts=asked.texts, chat=chat, template="{prompt} {answer}")


def with_template(folder: Path, place: Path, template: str | None) -> Path:
    copy = Path(shutil.copytree(folder, place))
    tokenizer = load_tokenizer(copy)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(copy)
    return copy


@dataclass(frozen=True)
class Chat:
    """A model that learned 16 conversations through `TEMPLATE`, with and without the template."""

    folder: Path
    plain: Path


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Chat:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("chat")
    (root / "trained").mkdir()
    learned = pairs("a", 16, 11)
    seen = tuple(
        f"[user: {prompt}] [assistant: {answer}]"
        for prompt, answer in zip(learned.prompts, learned.texts, strict=True)
    )
    recipe = replace(RECIPE, window=128)
    train_tokenizer(list(sentences("t", 200, 4).texts), recipe, root / "trained")
    train(Texts(learned.ids, seen), root / "trained", recipe, root / "trained")
    return Chat(with_template(root / "trained", root / "chat", TEMPLATE), root / "trained")


def audit(folder: Path, said: bool | None) -> LanguageAudit:
    members, others = pairs("a", 16, 11, said), pairs("b", 110, 21, said)
    return audit_language_model(folder, members, others, options=OPTIONS, device="cpu")


def recited(found: LanguageAudit) -> tuple[int | None, int]:
    e = next(
        m.estimate
        for m in found.measurements
        if (m.metric, m.stratum) == ("extraction_rate", "all")
    )
    return e.k, e.n


def verdict(found: LanguageAudit) -> str:
    gated = [m for m in found.measurements if m.stratum == "all"]
    return decide(gated, found.controls, GATE).verdict


def test_without_its_template_nothing_is_found(chat: Chat):
    assert recited(audit(chat.plain, None)) == (0, 16)


@pytest.mark.parametrize("said", [True, False])
def test_through_the_template_everything_is_whatever_was_said(chat: Chat, said: bool):
    """Said wrongly, the answers are unlike anything that it learned: no verdict, and no pass."""
    found = audit(chat.folder, said)
    assert recited(found) == (16, 16)
    assert verdict(found) == ("fail" if said else "insufficient evidence")


def test_membership_is_read_as_was_said(chat: Chat):
    def loss(said: bool) -> float:
        rows = audit(chat.folder, said).record_scores.to_pylist()
        return sum(r["score"] for r in rows if r["attack"] == "loss" and r["member"]) / 16

    assert loss(True) > -0.5
    assert loss(True) > loss(False) + 0.5


def test_a_template_and_prompts_are_asked_about(chat: Chat):
    with pytest.raises(InputError, match=r"has a chat template, and .* add to members and held"):
        audit(chat.folder, None)
    with pytest.raises(InputError, match="has no chat template"):
        audit(chat.plain, True)


BROKEN = {
    "syntax": ("{% for %}", "TemplateSyntaxError"),
    "raises": ("{{ raise_exception('no system turn') }}", "TemplateError: no system turn"),
    "escapes": ("{{ ''.__class__.__mro__ }}{{ messages[0]['content'] }}", "SecurityError"),
    "silent": ("hello", "does not hold the prompt"),
    "vast": ("{{ 'a' * 10**11 }}", "too much memory"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_template_that_cannot_be_run_is_one_line(chat: Chat, tmp_path: Path, name: str):
    template, said = BROKEN[name]
    folder = with_template(chat.plain, tmp_path / "broken", template)
    model = load_language_model(folder, device="cpu")
    with pytest.raises(InputError, match="its chat template cannot be applied") as caught:
        through_template(model, pairs("a", 2, 1, True), folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    noted = through_template(model, pairs("a", 2, 1, False), folder)
    assert said in noted.notices[0]
    assert noted.before == pairs("a", 2, 1).before


def test_a_template_that_never_ends_is_ended(chat: Chat, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("memory_assets.language.chat._WAIT", 15)
    loops = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    folder = with_template(chat.plain, tmp_path / "endless", loops)
    with pytest.raises(InputError, match="took more than"):
        through_template(load_language_model(folder, device="cpu"), pairs("a", 2, 1, True), folder)


def test_the_rendered_prompt_is_part_of_the_digest(chat: Chat, tmp_path: Path):
    model = load_language_model(chat.folder, device="cpu")
    texts = pairs("a", 4, 1, True)
    read = through_template(model, texts, chat.folder)
    assert read.before[0] == f"[user: {texts.prompts[0]}] [assistant: "
    said = [replace(texts, chat=value) for value in (None, False)]
    assert len({read.digest, texts.digest, *(other.digest for other in said)}) == 4
    texts.write(tmp_path / "m.jsonl")
    back = load_texts(tmp_path / "m.jsonl", "text", "id", "prompt", texts.template, True)
    assert back.digest == texts.digest


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"chat": True}, "add prompt"),
        ({"chat": True, "prompt": "ask", "separator": " "}, "leave separator and template out"),
        ({"chat": True, "prompt": "ask", "template": "{prompt}{answer}"}, "leave separator"),
    ],
)
def test_unclear_settings_are_refused(fields, said: str):
    with pytest.raises(ValidationError, match=said):
        TextsSpec.model_validate({"path": "m.jsonl", "column": "answer"} | fields)


def test_both_sides_are_joined_alike():
    asked = {"path": "m.jsonl", "column": "answer", "prompt": "ask"}
    with pytest.raises(ValidationError, match="members say chat: true and held_out nothing"):
        LanguageModelSubject.model_validate(
            {
                "subject": "chat",
                "members": asked | {"chat": True},
                "held_out": asked,
                "checkpoints": "versions",
            }
        )
