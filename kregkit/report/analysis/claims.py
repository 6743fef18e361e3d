"""The claims about L1 and L2 on kernel, bias and activity, as declarations.

Judging, sentences and documents are made of them. A claim holds when all its parts do.
The laws, which are no matter of chance, are in `laws`.

Parts are of L2 where both L1 and L2 could be meant, and by gradient where a study has
both solvers; what else was trained is shown beside them, without a verdict.
"""

from dataclasses import dataclass
from typing import Final

from kregkit.report.analysis.contrasts import Analysis, Which
from kregkit.report.analysis.verdicts import Contrast, Judged, Rule, holm
from kregkit.report.cells import (
    TARGET_ROLE,
    About,
    Place,
    Point,
    of_model,
    whole,
)
from kregkit.report.effects import (
    KEPT,
    SHARE,
    SHRUNK,
    TAIL,
    TOLERANCE,
    Amount,
    amount,
)


@dataclass(frozen=True)
class Hypothesis:
    """What a claim says of one effect: its direction, and the smallest that counts.

    The effect is of `one` against `other`, or against the baseline.
    """

    place: Place
    rule: Rule
    smallest: Amount
    one: Which
    other: Which | None = None
    point: Point = "strong"


@dataclass(frozen=True)
class Claim:
    """A claim: its number, what it says, and what tests it.

    All `parts` must hold, and with them those of `further` that a study has trained.
    `instead` is tested in studies that cannot test `parts`. Those of `beside` are shown
    without a verdict.
    """

    number: int
    name: str
    says: str
    parts: tuple[Hypothesis, ...]
    further: tuple[Hypothesis, ...] = ()
    instead: tuple[Hypothesis, ...] = ()
    beside: tuple[Hypothesis, ...] = ()


@dataclass(frozen=True)
class Tested:
    """A claim with its verdict in one study; null: the study has not what it needs."""

    claim: Claim
    judged: Judged | None
    beside: tuple[Contrast, ...]


def judge(study: Analysis) -> tuple[Tested, ...]:
    """Judge every claim that a study has the series for, as one family."""
    contrasts = {claim.number: _asked(study, claim) for claim in CLAIMS}
    judged = holm({number: own for number, own in contrasts.items() if own})
    made = []
    for claim in CLAIMS:
        shown = {one.about for one in contrasts[claim.number]}
        found = filter(None, (ask(study, part) for part in claim.beside))
        beside = tuple(one for one in found if one.about not in shown)
        made.append(Tested(claim, judged.get(claim.number), beside))
    return tuple(made)


def _asked(study: Analysis, claim: Claim) -> tuple[Contrast, ...]:
    """Return the contrasts that decide a claim; none: it cannot be tested."""
    for parts in (claim.parts, claim.instead):
        found = [one for part in parts if (one := ask(study, part))]
        if found and len(found) == len(parts):
            further = (ask(study, part) for part in claim.further)
            return (*found, *filter(None, further))
    return ()


def ask(study: Analysis, part: Hypothesis) -> Contrast | None:
    """Return the contrast of a part; null: the study has not trained its series."""
    one = study.find(part.one)
    other = study.find(part.other) if part.other else []
    if not one or (part.other and not other):
        return None
    chosen = study.at(part.point, one)
    smallest = amount(part.smallest, study.tables.facts.regression)
    known = study.known_as(part.one, one)
    if part.other is None:
        about = About(part.place, known, None, part.point)
        return study.to_baseline(about, part.rule, smallest, chosen)
    about = About(part.place, known, study.known_as(part.other, other), part.point)
    against = study.at(part.point, other)
    return study.between(about, part.rule, smallest, chosen, against)


def _under(
    regularizer: str,
    target: str,
    place: Place,
    rule: Rule,
    smallest: Amount,
    *solvers: str,
    point: Point = "strong",
) -> Hypothesis:
    which = Which(regularizer, (target,), solvers or ("gradient", "proximal"))
    return Hypothesis(place, rule, smallest, which, point=point)


def _l1_minus_l2(target: str, place: Place, solver: str = "gradient") -> Hypothesis:
    """At equal score: each at the strongest strength that keeps it."""
    one, other = (Which(name, (target,), (solver,)) for name in ("L1", "L2"))
    return Hypothesis(place, "rises", SHARE, one, other)


def _norms(regularizer: str) -> tuple[Hypothesis, ...]:
    w, b, y = (whole(role, "l2") for role in TARGET_ROLE.values())
    return (
        _under(regularizer, "kernel", w, "falls", SHRUNK),
        _under(regularizer, "kernel", b, "stays", KEPT),
        _under(regularizer, "bias", b, "falls", SHRUNK),
        _under(regularizer, "activity", y, "falls", SHRUNK),
    )


def _sensitivity(regularizer: str) -> tuple[Hypothesis, ...]:
    return (
        _under(regularizer, "kernel", of_model("noise_cost"), "falls", TOLERANCE),
        _under(regularizer, "kernel", of_model("jacobian_ratio"), "falls", SHRUNK),
    )


def _gap(regularizer: str) -> tuple[Hypothesis, ...]:
    place = of_model("relative_gap")
    return (
        _under(regularizer, "kernel", place, "falls", SHARE),
        _under(regularizer, "kernel", place, "falls", SHARE, point="best"),
    )


CLAIMS: Final = (
    Claim(
        1,
        "Each shrinks its own target",
        "A kernel regularizer shrinks W and leaves b as it is, a bias regularizer "
        "shrinks b, and an activity regularizer shrinks the output y.",
        parts=_norms("L2"),
        beside=_norms("L1"),
    ),
    Claim(
        2,
        "Bias: through the origin",
        "A bias regularizer brings the function closer to passing through the origin.",
        parts=(_under("L2", "bias", of_model("origin_ratio"), "falls", SHRUNK),),
        beside=(_under("L1", "bias", of_model("origin_ratio"), "falls", SHRUNK),),
    ),
    Claim(
        4,
        "L2 cuts large components, L1 makes sparse",
        "L2 reduces the large components and L1 makes the tensor sparse, for kernels, "
        "biases and activations alike.",
        parts=tuple(
            part
            for target, role in TARGET_ROLE.items()
            for part in (
                _under("L2", target, whole(role, "q99_over_q50"), "falls", TAIL),
                _l1_minus_l2(target, whole(role, "hoyer")),
            )
        ),
        further=tuple(
            _l1_minus_l2(target, whole(target, "zero_fraction"), "proximal")
            for target in ("kernel", "bias")
        ),
        beside=tuple(
            _l1_minus_l2(target, whole(role, measure), solver)
            for target, role in TARGET_ROLE.items()
            for solver in ("gradient", "proximal")
            for measure in ("near_zero_fraction", "zero_fraction")
        ),
    ),
    Claim(
        5,
        "L2: less sensitive to the input",
        "With L2 the network is less sensitive to small changes of the input.",
        parts=_sensitivity("L2"),
        beside=(
            *_sensitivity("L1"),
            *(
                _under(name, "kernel", of_model("jacobian_norm"), "falls", SHRUNK)
                for name in ("L2", "L1")
            ),
        ),
    ),
    Claim(
        6,
        "L1: ignores inputs",
        "With L1 the network ignores some inputs altogether.",
        parts=(_l1_minus_l2("kernel", of_model("inputs_ignored"), "proximal"),),
        instead=(_l1_minus_l2("kernel", of_model("inputs_near_ignored")),),
        beside=(
            *(
                _l1_minus_l2("kernel", of_model(measure), solver)
                for solver in ("gradient", "proximal")
                for measure in ("inputs_near_ignored", "inputs_ignored")
            ),
            *(
                _under("L1", "kernel", of_model("permuted_change"), "stays", 0.01, own)
                for own in ("gradient", "proximal")
            ),
        ),
    ),
    Claim(
        8,
        "The kernel regularizer alone",
        "With no prior about the function, the kernel regularizer alone is the one to "
        "use.",
        parts=(
            Hypothesis(
                of_model("test_score"),
                "not below",
                TOLERANCE.times(0.5),
                Which(None, ("kernel",)),
                Which(None, ("bias", "activity")),
                "best",
            ),
        ),
    ),
    Claim(
        9,
        "A narrower gap",
        "Regularization narrows the gap between training and validation data loss.",
        parts=_gap("L2"),
        beside=_gap("L1"),
    ),
)
"""The statistical claims; they form one family."""
