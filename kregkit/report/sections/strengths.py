"""How strong: the score along strength, and what to begin with."""

from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.effects import TOLERANCE
from kregkit.report.figures.strength import panels
from kregkit.report.page.page import Section
from kregkit.report.wording import numbers


def section(analysis: Analysis, *folded: Section) -> Section:
    """Return the panels of a study."""
    cost = numbers.points(TOLERANCE, analysis.tables.facts.regression)
    return Section(
        "strength",
        "How strong",
        "How strong",
        lead=(
            f"Test score along strength; the band is {cost} below no regularizer (the "
            "dashed line). Lines are bold up to the strongest strength that stays "
            "within it in validation. A cross is where half of what the model learned "
            "is lost."
        ),
        figures=panels(analysis),
        folded=folded,
    )
