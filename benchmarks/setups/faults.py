"""What goes wrong on an owner's way to an audit, as changes of an honest set-up.

`LISTS` concern who is said to be a member and who was trained on, `RECORD_FAULTS` what stands in
the file of records, `ANSWERS` what the model is asked and how its answers are written down,
`SHADOW_FAULTS` what the shadow models are. Each takes a `Case` and returns the one that went wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.setups.cases import Case
from benchmarks.setups.models import HARMLESS, LEAKING
from benchmarks.setups.records import MEMBERS, RECORDS, draw

Fault = Callable[[Case], Case]


def _lot(case: Case, name: int = 0) -> np.random.Generator:
    return np.random.default_rng([case.seed, 0xFA, name])


def _some(mask: NDArray[np.bool_], share: float, lot: np.random.Generator) -> NDArray[np.int64]:
    rows = lot.permutation(np.flatnonzero(mask))
    return rows[: round(share * len(rows))]


# --- the list of members, and whom the model was trained on


def exchanged(share: float, case: Case) -> Case:
    """A share of the listed members are non-members, and as many the other way round."""
    lot, listed = _lot(case), case.member.copy()
    inside, outside = (_some(mask, share, lot) for mask in (case.member, ~case.member))
    listed[inside], listed[outside] = False, True
    return replace(case, listed=listed)


def contaminated(share: float, case: Case) -> Case:
    """The model was trained on a share of the non-members, too."""
    trained = case.member.copy()
    trained[_some(~case.member, share, _lot(case))] = True
    return replace(case, trained=trained)


def half_listed(case: Case) -> Case:
    listed = case.member.copy()
    listed[_some(case.member, 0.5, _lot(case))] = False
    return replace(case, listed=listed)


def other_draw(case: Case) -> Case:
    """The model of another random half of the same records."""
    trained = np.zeros(RECORDS, dtype=bool)
    trained[_lot(case).permutation(RECORDS)[:MEMBERS]] = True
    return replace(case, trained=trained, says_members=False)


def other_data(case: Case) -> Case:
    """A model of other records of the same source."""
    return replace(case, other=draw(case.kind, case.seed + 1000), says_members=False)


def other_seed(case: Case) -> Case:
    """No fault of the audit: the same model from another random draw."""
    return replace(case, seed=case.seed + 1)


LISTS: dict[str, Fault] = {
    "members and non-members swapped": partial(exchanged, 1.0),
    "half of the list swapped": partial(exchanged, 0.5),
    "a tenth of the list swapped": partial(exchanged, 0.1),
    "a tenth of the non-members trained on": partial(contaminated, 0.1),
    "half of the non-members trained on": partial(contaminated, 0.5),
    "all non-members trained on": partial(contaminated, 1.0),
    "half of the members listed": half_listed,
    "model of another draw of members": other_draw,
    "model of other data": other_data,
    "model of another seed": other_seed,
}

# --- the records in the file


def labels_permuted(case: Case) -> Case:
    y = case.data.y.copy()
    return replace(case, written=case.data.changed(y=_lot(case).permutation(y)))


def labels_moved(case: Case) -> Case:
    """Every class has the number of the next one."""
    return replace(case, written=case.data.changed(y=(case.data.y + 1) % case.data.classes))


def _with_column(case: Case, values: NDArray) -> Case:
    """The first column, or pixel, of all records says something else."""
    x = case.data.x.copy()
    x.reshape(RECORDS, -1)[:, 0] = values
    return replace(case, data=case.data.changed(x))


def flagged(case: Case) -> Case:
    return _with_column(case, case.member)


def marked_tenth(case: Case) -> Case:
    """A word, or a mark, that only members carry, and a tenth of them."""
    mark = np.zeros(RECORDS)
    mark[_some(case.member, 0.1, _lot(case))] = 4
    return _with_column(case, mark)


def wide_and_flagged(case: Case) -> Case:
    """A flag beside columns of standard deviation 1,000."""
    flat = case.data.x.reshape(RECORDS, -1)
    wide = 1000 * _lot(case).normal(size=(RECORDS, 99))
    return replace(
        case, data=case.data.changed(np.concatenate([flat, wide, case.member[:, None]], 1))
    )


def shifted(case: Case) -> Case:
    """Non-members come from a source with other values."""
    x = case.data.x.copy()
    rows = x.reshape(RECORDS, -1)
    spread = rows.std(axis=0) * _lot(case).choice([-1, 1], rows.shape[1])
    rows[~case.member] += 0.5 * spread.astype(np.float32)
    return replace(case, data=case.data.changed(x))


def other_classes(case: Case) -> Case:
    """Members are mostly of the first classes."""
    order = case.data.y / case.data.classes + 0.4 * _lot(case).normal(size=RECORDS)
    return replace(case, member=np.argsort(np.argsort(order)) < MEMBERS)


def copied(share: float, noise: float, case: Case) -> Case:
    """A share of the non-members are copies of members, exact ones or but for a little."""
    lot, x, y = _lot(case), case.data.x.copy(), case.data.y.copy()
    to = _some(~case.member, share, lot)
    source = lot.permutation(np.flatnonzero(case.member))[: len(to)]
    x[to] = x[source] + noise * lot.normal(size=x[to].shape)
    y[to] = y[source]
    return replace(case, data=case.data.changed(x, y))


RECORD_FAULTS: dict[str, Fault] = {
    "labels permuted": labels_permuted,
    "labels numbered otherwise": labels_moved,
    "a flag equal to membership": flagged,
    "a mark on a tenth of the members": marked_tenth,
    "a flag beside wide columns": wide_and_flagged,
    "non-members of another source": shifted,
    "members of other classes": other_classes,
    "a tenth of the non-members copies": partial(copied, 0.1, 0.0),
    "half of the non-members copies": partial(copied, 0.5, 0.0),
    "half of the non-members near copies": partial(copied, 0.5, 1e-3),
    "all non-members near copies": partial(copied, 1.0, 1e-3),
}

# --- what the model is asked, and its answers


def _inverted(x: NDArray) -> NDArray:
    return x.max() - x


def _larger(x: NDArray) -> NDArray:
    return 255 * x


def _reversed(x: NDArray) -> NDArray:
    return np.ascontiguousarray(x.reshape(len(x), -1)[:, ::-1]).reshape(x.shape)


def prepared(change: Callable[[NDArray], NDArray], case: Case) -> Case:
    """The model was trained on records that were prepared otherwise than those of the audit."""
    if case.source == "recipe":
        return replace(case, learns=change)
    return replace(case, asks=change)


def rounded_to(digits: int, p: NDArray) -> NDArray:
    """So many digits of every probability; what is left over goes to the likeliest class."""
    q, top = np.round(p, digits), p.argmax(axis=1)
    q[np.arange(len(p)), top] += 1 - q.sum(axis=1)
    return np.clip(q, 0, 1)


def labels_only(p: NDArray) -> NDArray:
    return np.eye(p.shape[1])[p.argmax(axis=1)]


def tied(p: NDArray) -> NDArray:
    """As sure of every answer as of any other."""
    return 0.1 / p.shape[1] + 0.9 * labels_only(p)


def rolled(p: NDArray) -> NDArray:
    return np.roll(p, 1, axis=1)


def answered(change: Callable[[NDArray], NDArray], shadows: bool, case: Case) -> Case:
    """The target's answers are changed, or those of its shadow models as well."""
    case = replace(case, answers=change)
    return replace(case, shadow_answers=change) if shadows else case


def contradicted(share: float, case: Case) -> Case:
    """A column `trained` that names others than the list."""
    trained = case.member.astype(int)
    wrong = _some(np.ones(RECORDS, dtype=bool), share, _lot(case))
    trained[wrong] = 1 - trained[wrong]
    return replace(case, columns={"trained": trained})


ANSWERS: dict[str, Fault] = {
    "records inverted": partial(prepared, _inverted),
    "records on another scale": partial(prepared, _larger),
    "columns in another order": partial(prepared, _reversed),
    "rounded to 1 digit": partial(answered, partial(rounded_to, 1), False),
    "rounded to 2 digits": partial(answered, partial(rounded_to, 2), False),
    "labels only": partial(answered, labels_only, False),
    "scores tied": partial(answered, tied, False),
    "classes in another order": partial(answered, rolled, False),
    "a list in the file contradicts": partial(contradicted, 0.5),
    "a list in the file contradicts a little": partial(contradicted, 0.01),
}

# --- the shadow models


def other_shadows(names: dict[str, tuple[str, ...]], which: int, case: Case) -> Case:
    return replace(case, shadow_model=names[case.kind][which])


def said_of_shadows(change: Callable[[NDArray, np.random.Generator], NDArray], case: Case) -> Case:
    return replace(case, shadow_sides=change)


def few_by_lot(case: Case) -> Case:
    """Four shadow models, and a list of which half is wrong."""
    return replace(exchanged(0.5, case), models=4)


def few_contaminated(case: Case) -> Case:
    """Four shadow models, and a model that was trained on everything."""
    return replace(contaminated(1.0, case), models=4)


SHADOW_FAULTS: dict[str, Fault] = {
    "shadows that learn little": partial(other_shadows, HARMLESS, 1),
    "shadows of another leaking recipe": partial(other_shadows, LEAKING, 1),
    "all rounded to 2 digits": partial(answered, partial(rounded_to, 2), True),
    "labels only, of all": partial(answered, labels_only, True),
    "scores of all tied": partial(answered, tied, True),
    "classes of all in another order": partial(answered, rolled, True),
    "shadows' lists inverted": partial(said_of_shadows, lambda sides, _: 1 - sides),
    "shadows' lists by lot": partial(
        said_of_shadows, lambda sides, lot: lot.permutation(sides[0])[None]
    ),
    "shadows that repeat the target": lambda case: replace(case, copies=True),
    "few shadows, half of the list swapped": few_by_lot,
    "few shadows, all trained on": few_contaminated,
}
