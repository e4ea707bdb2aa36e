"""What an audit wrote down in English, said in the reader's language and with the page's names."""

from __future__ import annotations

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.tables import metric_label
from memory_assets.results.sentences import read_back, tell


def retold(text: str, t: Catalogue) -> list[str]:
    """The sentences of a stored text; where one is not known, the text itself or why it is absent.

    A sentence that came from elsewhere stays on the English page and is not put on another one.
    """
    said = read_back(text)
    if said is None:
        return [text if t.lang == "en" else t("control.unread")]

    def rename(field: str, value: str) -> str:
        match field:
            case "attack":
                return t.name("attack", value)
            case "attacks":
                return t("form.separator").join(t.name("attack", a) for a in value.split(", "))
            case "metric":
                return metric_label(value, t)
            case "control":
                return t.name("control.name", value)
            case "status":
                return t.texts.get(f"status.{value.replace(' ', '_')}_note", value)
        return value

    return [tell(one, t.lang, rename) for one in said]
