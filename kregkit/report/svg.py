"""From the SVG that matplotlib writes to the element of a page.

The one rule: what is drawn stays; what no eye sees goes: the prologue, ids that
nothing refers to, comments, line breaks, and digits beyond a hundredth of a point. An
id is of one figure alone, but for the letters, which are the same in every one.
"""

import hashlib
import re
from collections.abc import Iterable

_METADATA = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]*)')
_PLACES = re.compile(r' (?:d|x|y|x1|x2|y1|y2|points|width|height)="[^"]*"')
_TRANSLATE = re.compile(r"translate\([^)]*\)")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_LETTER = re.compile(r'<path id="(DejaVuSans[^"]*)"[^>]*/>')
_EMPTY = re.compile(r"<g>\s*</g>|<defs>\s*</defs>")


def element(name: str, text: str) -> str:
    """Return one <svg> element, whose ids are those of no figure of another name."""
    svg = _METADATA.sub("", text[text.index("<svg") :])
    used = set(_REFERENCE.findall(svg))
    prefix = hashlib.sha256(name.encode()).hexdigest()[:8]
    svg = _ID.sub(lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}-", svg)
    svg = svg.replace(f"{prefix}-DejaVuSans", "DejaVuSans")
    svg = _PLACES.sub(_rounded, svg)
    svg = _TRANSLATE.sub(_rounded, svg)
    svg = re.sub(r">\s+<", "><", svg)
    return _EMPTY.sub("", re.sub(r"\s*\n\s*", " ", svg)).strip()


def letters(svgs: Iterable[str]) -> str:
    """Return an <svg> that draws nothing, with every letter of the figures once."""
    found = {m[1]: m[0] for svg in svgs for m in _LETTER.finditer(svg)}
    drawn = "".join(found[name] for name in sorted(found))
    size = 'width="0" height="0" style="position: absolute"'
    return f'<svg aria-hidden="true" {size}><defs>{drawn}</defs></svg>'


def without_letters(svg: str) -> str:
    """Return the figure for a page that has `letters`."""
    return _EMPTY.sub("", _LETTER.sub("", svg))


def _rounded(match: re.Match[str]) -> str:
    return _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", match[0])
