"""The claims about L1 and L2 on kernel, bias and activity, as the report tests them.

What a claim says, where it is measured and the smallest effect that
counts are written here and in `claim_parts`, before any data. A claim holds when all
its parts do. The laws, which are no matter of chance, are in `laws`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kregkit.report.analysis import claim_parts as parts
from kregkit.report.analysis.claim_parts import Contrasts
from kregkit.report.analysis.contrasts import Study
from kregkit.report.analysis.verdicts import Contrast, Judged, holm


@dataclass(frozen=True)
class Claim:
    """A claim: its number, what it says, and what tests it.

    `parts` yields the contrasts that all must hold, nothing where a study lacks the
    series for one of them; `beside` those that are shown without a verdict.
    """

    number: int
    name: str
    says: str
    where: str  # the operating point
    counts: str  # the smallest effects that count, in words
    parts: Callable[[Study], Contrasts]
    beside: Callable[[Study], Contrasts] = field(default=lambda study: iter(()))


@dataclass(frozen=True)
class Tested:
    """A claim with its verdict in one study; null: the study has not what it needs."""

    claim: Claim
    judged: Judged | None
    beside: tuple[Contrast, ...]


def judge(study: Study) -> tuple[Tested, ...]:
    """Judge every claim that a study has the series for, as one family."""
    contrasts = {claim.number: tuple(claim.parts(study)) for claim in CLAIMS}
    judged = holm({number: own for number, own in contrasts.items() if own})
    made = []
    for claim in CLAIMS:
        shown = {part.about for part in contrasts[claim.number]}
        beside = tuple(one for one in claim.beside(study) if one.about not in shown)
        made.append(Tested(claim, judged.get(claim.number), beside))
    return tuple(made)


STRONG: Final = (
    "the strongest strength that keeps the mean validation score within 1 point "
    "(R² 0.02) of the baseline's"
)
BEST: Final = "the strength with the lowest validation data loss"

CLAIMS: Final = (
    Claim(
        1,
        "Each shrinks its own target",
        "A kernel regularizer shrinks W and leaves b as it is, a bias regularizer "
        "shrinks b, and an activity regularizer shrinks the output y.",
        STRONG,
        "norms fall by at least 10 %; ‖b‖ beside the kernel's stays within 10 %",
        lambda study: parts.complete(parts.norms(study, "L2"), 4),
        lambda study: parts.norms(study, "L1"),
    ),
    Claim(
        2,
        "Bias: through the origin",
        "A bias regularizer brings the function closer to passing through the origin.",
        STRONG,
        "‖f(0)‖ over the scale of f falls by at least 10 %",
        lambda study: parts.origin(study, "L2"),
        lambda study: parts.origin(study, "L1"),
    ),
    Claim(
        4,
        "L2 cuts large components, L1 makes sparse",
        "L2 reduces the large components and L1 makes the tensor sparse, for kernels, "
        "biases and activations alike.",
        STRONG,
        "the 99 % quantile falls by 5 % more than the median; L1 exceeds L2 by 0.05 "
        "in Hoyer sparsity, and by 5 points of exact zeros under the proximal solver",
        parts.shapes_and_zeros,
        parts.near_zeros,
    ),
    Claim(
        5,
        "L2: less sensitive to the input",
        "With L2 the network is less sensitive to small changes of the input.",
        STRONG,
        "1 point (R² 0.02) less score lost under noise; a Jacobian norm over the scale "
        "of f that is 10 % lower",
        lambda study: parts.sensitivity(study, "L2"),
        parts.sensitivity_beside,
    ),
    Claim(
        6,
        "L1: ignores inputs",
        "With L1 the network ignores some inputs altogether.",
        STRONG,
        "5 points more of the inputs that vary",
        parts.ignored,
        parts.ignored_beside,
    ),
    Claim(
        8,
        "The kernel regularizer alone",
        "With no prior about the function, the kernel regularizer alone is the one to "
        "use.",
        BEST,
        "its test score is not below the best other's by 0.5 points (R² 0.01)",
        parts.parity,
    ),
    Claim(
        9,
        "A narrower gap",
        "Regularization narrows the gap between training and validation data loss.",
        f"{STRONG}; and {BEST}",
        "the share of the validation loss that is gap falls by 5 points",
        lambda study: parts.gaps(study, "L2"),
        lambda study: parts.gaps(study, "L1"),
    ),
)
"""The statistical claims; they form one family."""
