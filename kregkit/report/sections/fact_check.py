"""The claims as people say them: a verdict, one sentence why, and what unfolds."""

from collections.abc import Iterator, Sequence

from kregkit.report.analysis.claims import Tested
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.verdicts import Judged, OfClaim, Part
from kregkit.report.cells import Place
from kregkit.report.page.page import Check, Section, Tone
from kregkit.report.sections import evidence, laws
from kregkit.report.sections.verdict_words import shown
from kregkit.report.statistics import MOST_SEEDS, seeds_to_settle
from kregkit.report.wording import contrasts

Shown = tuple[str, Tone]

VERDICTS: dict[OfClaim, Shown] = {
    "supported": ("✓ Holds", "good"),
    "partly": ("◐ Holds in part", "changed"),
    "negligible": ("○ No effect that counts", "bad"),
    "contradicted": ("✗ The opposite", "bad"),
    "undecided": ("? Could not tell", "unclear"),
}
NOT_TESTED: Shown = ("– Not tested here", "unclear")

_PARTS = {
    "supported": ("holds", "hold"),
    "contradicted": ("shows the opposite", "show the opposite"),
    "negligible": ("has no effect that counts", "have no effect that counts"),
    "undecided": ("could not be told", "could not be told"),
}
LEAD = (
    "For a claim, each seed is at the strength that the others chose in validation: "
    "its numbers differ from those of the matrix where seeds choose differently."
)
_LISTED = 3
"""Parts of one verdict that a sentence names."""


def section(analysis: Analysis, tested: Sequence[Tested]) -> Section:
    """Return the fact check of one study."""
    tables = analysis.tables
    details = {one.anchor: one for one in evidence.sections(tables, tested)}
    checks = {one.claim.number: _check(analysis, one, details) for one in tested}
    for law in laws.checked(tables):
        word = law.row[2].value
        checks[law.number] = Check(
            laws.SAYS[law.number],
            *of_law(word),
            f"{law.row[3].value}",
            law.section,
        )
    method = details["claims"]
    return Section(
        "claims",
        "What people say, checked",
        "Fact check",
        lead=LEAD,
        checks=tuple(checks[number] for number in sorted(checks)),
        folded=(
            Section(
                "verdicts",
                "Every part with its verdict, and how verdicts are reached",
                "Verdicts",
                method.lead,
                tables=method.tables,
                notes=method.notes,
            ),
        ),
    )


def of_law(word: str) -> Shown:
    """Return how the verdict on a law is shown."""
    known = {
        laws.NOT_TESTED: NOT_TESTED,
        "Holds": ("✓ Holds", "good"),
        "Holds in part": ("◐ Holds in part", "changed"),
        "Not at a stationary point": ("○ Not at a stationary point", "changed"),
    }
    found: Shown = known.get(word, (f"✗ {word}", "bad"))
    return found


def _check(analysis: Analysis, one: Tested, details: dict[str, Section]) -> Check:
    section = details[f"claim-{one.claim.number}"]
    if one.judged is None:
        needs = _needed(one)
        return Check(one.claim.says, *NOT_TESTED, needs, section)
    if not any(part.contrast.estimate for part in one.judged.parts):
        reasons = dict.fromkeys(
            contrasts.why(part.contrast.why) for part in one.judged.parts
        )
        text = "; ".join(filter(None, reasons))
        return Check(
            one.claim.says, *NOT_TESTED, f"{text[:1].upper()}{text[1:]}.", section
        )
    verdict = VERDICTS[one.judged.verdict]
    why = " ".join((*_seen(analysis, one.judged), *_to_settle(analysis, one.judged)))
    return Check(one.claim.says, *verdict, why, section)


def _needed(one: Tested) -> str:
    """Return what a study must train to test a claim."""
    asked = dict.fromkeys(
        f"{which.regularizer or 'a regularizer'} on the {' or '.join(which.targets)}"
        for part in one.claim.parts
        for which in (part.one, part.other)
        if which
    )
    return f"This study has not trained all of: {', '.join(asked)}."


def _seen(analysis: Analysis, judged: Judged) -> Iterator[str]:
    """Yield what was seen: of several parts those that are decided, and a count."""
    if len(judged.parts) == 1:
        text = _effect(analysis, judged.parts[0])
        yield f"{text[:1].upper()}{text[1:]}."
        return
    for verdict, (single, plural) in _PARTS.items():
        own = [part for part in judged.parts if part.verdict == verdict]
        if not own:
            continue
        words = single if len(own) == 1 else plural
        told = f"{len(own)} of {len(judged.parts)} parts {words}"
        if verdict in ("supported", "contradicted"):
            shown = "; ".join(_effect(analysis, part) for part in own[:_LISTED])
            told += f": {shown}{' ...' if len(own) > _LISTED else ''}"
        yield f"{told}."


def _effect(analysis: Analysis, part: Part) -> str:
    one = part.contrast
    about = contrasts.of(one.about)
    if one.estimate is None:
        return f"{about} ({contrasts.why(one.why)})"
    return f"{about} {shown(one, one.estimate.value, analysis.tables.facts.regression)}"


def _to_settle(analysis: Analysis, judged: Judged) -> Iterator[str]:
    """Yield what would decide the parts that are not decided."""
    needed: list[int | None] = []
    for part in judged.parts:
        known = part.contrast.estimate
        if part.verdict == "undecided" and known is not None and known.error:
            place: Place = part.contrast.about.place
            overlap = analysis.tables.overlap(place)
            smallest = part.contrast.smallest
            needed.append(seeds_to_settle(known, smallest, overlap, part.level))
    if not needed:
        return
    if None in needed:
        yield f"Even {MOST_SEEDS} seeds of these data would leave it open."
    else:
        most = max(n for n in needed if n)
        yield f"About {most} seeds would settle it, if the effects are as seen."
