"""Texts as a language-model audit sees them: read from any format, named, fingerprinted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.formats import (
    JSON_LINES,
    PARQUET,
    PLAIN_TEXTS,
    TEXT,
    TEXT_TABLES,
    either,
    is_one_of,
)
from memory_assets.records.tables import float_ids, read_table
from memory_assets.store.confined import files_in
from memory_assets.store.digest import digest
from memory_assets.store.disk import write_private
from memory_assets.store.paths import is_file, is_folder

LONGEST_ID = 1000
"""Characters of a text's id."""

# Two bytes a character and four, at most, as text and as what is made of it.
_BYTES_OF_TEXT = 6
# What Python takes at most, measured: for a text with its id until they are digested, and in JSON
# for a list, an object, a value and a character.
_TEXT, _LIST, _OBJECT, _VALUE, _CHARACTER = 320, 100, 260, 100, 8


PROMPT, ANSWER = "{prompt}", "{answer}"


def check_template(template: str, where: str = "template") -> None:
    """Raises:
    InputError: a template that does not hold the prompt once, and the answer once after it.
    """
    if template.count(PROMPT) != 1 or template.partition(PROMPT)[2].count(ANSWER) != 1:
        raise InputError(
            f"{where}: {template!r}; expected {PROMPT} once, and {ANSWER} once after it, such as "
            f"'{PROMPT} {ANSWER}'"
        )


@dataclass(frozen=True)
class Texts:
    """N texts in a fixed order with unique ids.

    Of prompts with answers, `texts` are the answers and `prompts` what the model is asked with: the
    model reads them as `template` joins them, up to the end of the answer. Without prompts,
    `prompts` is empty. `chat` is what the owner says of a chat template. Of a model that has one
    (`language.chat`), `rendered` is what it reads before each answer in place of that, and `also`
    what it may have been trained to read there otherwise. `notices` says in one line each what was
    left out on reading, by id.

    Raises:
        InputError: no text, an id that stands more than once, or a template without its places.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    source: str = "texts"
    notices: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    template: str = PROMPT + ANSWER
    chat: bool | None = None
    rendered: tuple[str, ...] = ()
    also: tuple[tuple[str, ...], ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.ids or len(self.ids) != len(self.texts):
            raise InputError(
                f"{self.source}: {len(self.ids)} ids and {len(self.texts)} texts; expected the "
                "same number of each, at least one text that is not empty"
            )
        seen: set[str] = set()
        for name in self.ids:
            if name in seen:
                raise InputError(
                    f"{self.source}: text id {name!r} stands more than once; "
                    "give every text an id of its own"
                )
            seen.add(name)
        parts: list[object] = [list(self.ids), list(self.texts)]
        if self.prompts:
            if len(self.prompts) != len(self.texts):
                raise InputError(
                    f"{self.source}: {len(self.prompts)} prompts and {len(self.texts)} answers; "
                    "expected a prompt for each answer"
                )
            check_template(self.template)
            parts += [list(self.prompts), self.template]
            parts += [] if self.chat is None else [{"chat": self.chat}]
            if self.rendered or self.also:
                parts.append([list(way) for way in (self.rendered, *self.also)])
        object.__setattr__(self, "digest", digest(*parts))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def before(self) -> tuple[str, ...]:
        """What the model reads before each text: nothing where there are no prompts."""
        if not self.prompts:
            return ("",) * len(self.texts)
        if self.rendered:
            return self.rendered
        head, _, rest = self.template.partition(PROMPT)
        between = rest.partition(ANSWER)[0]
        return tuple(head + prompt + between for prompt in self.prompts)

    @property
    def whole(self) -> tuple[str, ...]:
        """What the model reads of each text: the answer behind its prompt where there are any."""
        if not self.prompts:
            return self.texts
        return tuple(a + b for a, b in zip(self.before, self.texts, strict=True))

    @property
    def compared(self) -> tuple[str, ...]:
        """What tells one text from another: prompt and answer, without what the template adds to
        each of them."""
        if not self.prompts:
            return self.texts
        return tuple(f"{a}\n{b}" for a, b in zip(self.prompts, self.texts, strict=True))

    def take(self, rows: NDArray[np.intp]) -> Texts:
        """The texts at `rows`, in that order."""
        return Texts(
            tuple(self.ids[i] for i in rows),
            tuple(self.texts[i] for i in rows),
            self.source,
            self.notices,
            tuple(self.prompts[i] for i in rows) if self.prompts else (),
            self.template,
            self.chat,
            tuple(self.rendered[i] for i in rows) if self.rendered else (),
            tuple(tuple(way[i] for i in rows) for way in self.also),
        )

    def write(self, path: Path) -> None:
        """Write as JSON lines with the columns `id` and `text`, and `prompt` where there are
        prompts, readable by its owner only."""
        columns = {"id": self.ids, "text": self.texts}
        columns |= {"prompt": self.prompts} if self.prompts else {}
        lines = (
            json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)
            for row in zip(*columns.values(), strict=True)
        )
        write_private(path, "\n".join(lines) + "\n")


def _decode(path: Path, between: str | None = None) -> str:
    """The whole file, if there is room for it and for its texts with `between` between them."""
    try:
        size = path.stat().st_size
        # Python keeps one, two or four bytes for every character, by the widest of the file.
        afford(5 * size, path, "its texts")
        text = path.read_bytes().decode("utf-8-sig")
        # The whole, its lines and their texts; the bytes, and those that are digested.
        texts = 1
        if between is not None:
            texts += text.count(between) + text.count("\n\r\n")
        afford(2 * size + 3 * sys.getsizeof(text) + _TEXT * texts, path, "its texts")
        return text
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _between(text: str, between: str) -> Iterator[str]:
    """`text.split(between)` one after the other: many short ones would take much more than it."""
    start = 0
    while (end := text.find(between, start)) >= 0:
        yield text[start:end]
        start = end + len(between)
    yield text[start:]


def _afford_json(line: str, path: Path) -> None:
    """Brackets take Python fifty times what they take in a file."""
    brackets = _LIST * line.count("[") + _OBJECT * line.count("{")
    wanted = brackets + _VALUE * line.count(",") + _CHARACTER * len(line)
    afford(wanted, path, "one of its lines")


def _json_lines(
    path: Path, column: str, id_column: str | None, prompt: str | None
) -> Iterator[tuple[str, object, object]]:
    # Only a line feed ends a line: `splitlines` would also cut at signs that stand in strings.
    for number, line in enumerate(_between(_decode(path, "\n"), "\n"), start=1):
        if not line.strip():
            continue
        _afford_json(line, path)
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number} is not JSON ({error.msg})") from error
        except (ValueError, RecursionError) as error:  # a number too long, nested too deep
            kind = type(error).__name__
            raise InputError(f"{path}: line {number} is not JSON ({kind})") from error
        for name in filter(None, (column, id_column, prompt)):
            if not isinstance(row, dict) or name not in row:
                raise InputError(
                    f"{path}: line {number} has no field {name!r}; expected an object with it"
                )
        name = row[id_column] if id_column else f"{path.stem}:{number:06d}"
        if name is None:
            raise InputError(f"{path}: line {number} has no id in {id_column!r}; give it one")
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise InputError(f"{path}: line {number}: {id_column} is no text or whole number")
        yield str(name), row[column], row[prompt] if prompt else ""


def _parquet(
    path: Path, column: str, id_column: str | None, prompt: str | None
) -> Iterator[tuple[str, object, object]]:
    wanted = list(dict.fromkeys(name for name in (column, id_column, prompt) if name))
    table = read_table(path, wanted)
    for name in wanted:
        if name not in table.column_names:
            known = ", ".join(parquet.read_schema(path).names[:12])
            raise InputError(f"{path}: no column {name!r}; it has {known}")
    afford(_TEXT * table.num_rows + 4 * table.nbytes, path, "its texts")
    ids = table[id_column].to_pylist() if id_column else range(1, table.num_rows + 1)
    texts = table[column].to_pylist()
    prompts = table[prompt].to_pylist() if prompt else [""] * len(texts)
    if any(isinstance(name, float) for name in ids):
        raise float_ids(table[str(id_column)].type, f"{path}: {id_column!r}")
    for number, (name, text, asked) in enumerate(zip(ids, texts, prompts, strict=True), start=1):
        if name is None:
            raise InputError(f"{path}: row {number} has no id in {id_column!r}; give it one")
        yield str(name) if id_column else f"{path.stem}:{name:06d}", text, asked


@dataclass(frozen=True)
class _Unreadable:
    """In place of a text: one bad file of a folder does not cost the others."""

    why: str


def _plain(path: Path) -> Iterator[tuple[str, object, object]]:
    """Paragraphs of a file, or whole files of a folder."""
    if path.is_dir():
        files = list(files_in(path, "*.txt"))
        # Each may be small enough, and all of them together not.
        afford(_BYTES_OF_TEXT * sum(file.stat().st_size for file in files), path, "its texts")
        for file in files:
            name = str(file.relative_to(path).with_suffix(""))
            try:
                yield name, _decode(file), ""
            except InputError as error:
                yield name, _Unreadable(str(error)), ""
        return
    whole = _decode(path, "\n\n").replace("\r\n", "\n")
    parts = (part for part in _between(whole, "\n\n") if part.strip())
    for number, part in enumerate(parts, start=1):
        yield f"{path.stem}:{number:06d}", part.strip("\n"), ""


def load_texts(
    path: Path,
    column: str = "text",
    id_column: str | None = None,
    prompt: str | None = None,
    template: str = PROMPT + ANSWER,
    chat: bool | None = None,
) -> Texts:
    """Read texts from Parquet, JSON lines, a plain file (paragraphs) or a folder of `.txt` files.

    Without `id_column` a text is named by its file and number. With `prompt`, a column, `column`
    holds the answers, `template` says how the two are joined, and `chat` whether a chat template
    joined them instead. Empty texts, texts that are not
    valid Unicode and unreadable files of a folder are left out and noted.

    Raises:
        InputError: no such file, another format, not UTF-8, a missing column or id, a value that
            is not text, a repeated id, a template without its places, or nothing left.
    """
    if prompt is not None:
        check_template(template, f"{path}: template")
    if is_folder(path) or is_one_of(path, PLAIN_TEXTS):
        if prompt is not None:
            raise InputError(
                f"{path}: plain text has no column {prompt!r} of prompts; give prompts and answers "
                f"as {either(TEXT_TABLES)}"
            )
        rows = _plain(path)
    elif not is_file(path):
        raise InputError(f"{path}: no such file or folder of texts")
    elif path in PARQUET:
        rows = _parquet(path, column, id_column, prompt)
    elif path in JSON_LINES:
        rows = _json_lines(path, column, id_column, prompt)
    else:
        raise InputError(
            f"{path}: {path.suffix or 'no suffix'}; expected {either(TEXT_TABLES + PLAIN_TEXTS)}, "
            f"or a folder of {TEXT.suffix} files"
        )
    try:
        return replace(_collect(rows, path, column, prompt, template), chat=chat)
    except MemoryError as error:
        raise InputError(f"{path}: its texts need more memory than there is") from error


def _collect(
    rows: Iterator[tuple[str, object, object]],
    path: Path,
    column: str,
    prompt: str | None,
    template: str,
) -> Texts:
    """The texts of all rows, without the empty ones and those that cannot be read."""
    ids: list[str] = []
    texts: list[str] = []
    prompts: list[str] = []
    notices: list[str] = []
    for number, (name, text, asked) in enumerate(rows, start=1):
        if not _is_unicode(name) or len(name) > LONGEST_ID:
            raise InputError(
                f"{path}: the id of text {number} holds half a character (a lone surrogate) or "
                f"more than {LONGEST_ID} characters; write it anew"
            )
        if isinstance(text, _Unreadable):
            notices.append(f"{text.why}; left out")
        elif text is None or (isinstance(text, str) and not text.strip()):
            notices.append(f"{path.name}: text {name!r} is empty and was left out")
        elif not isinstance(asked, str):
            raise InputError(
                f"{path}: the prompt of text {name!r} is a {type(asked).__name__}; expected text "
                f"in {prompt!r}"
            )
        elif isinstance(text, str) and not (_is_unicode(text) and _is_unicode(asked)):
            notices.append(f"{path.name}: text {name!r} is no valid Unicode and was left out")
        elif not isinstance(text, str):
            raise InputError(
                f"{path}: text {name!r} is a {type(text).__name__}; expected text in {column!r}"
            )
        else:
            ids.append(name)
            texts.append(text)
            prompts.append(asked)
    return Texts(
        tuple(ids),
        tuple(texts),
        str(path),
        tuple(notices),
        tuple(prompts) if prompt is not None else (),
        template,
    )


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can write it: JSON can hold half of a surrogate pair, no tokenizer reads it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
