"""From the SVG that matplotlib writes to the element of a page.

What is drawn stays; what no eye sees goes: the prologue, ids that
nothing refers to, comments, line breaks, digits beyond a hundredth of a point, and the
style that every mark of a line repeats. An id is of one figure alone, but for the
letters, which are the same in every one.
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
_FONT = "DejaVuSans"
_LETTER = re.compile(rf'<path id="({_FONT}[^"]*)"[^>]*/>')
_USES = re.compile(r'<g clip-path="([^"]*)">((?:<use [^>]*style="([^"]*)"/>)+)</g>')
TOOLTIP = "told:"
"""What an id begins with that is not one, but what a page tells of a line's marks."""
_EMPTY = re.compile(r"<g>\s*</g>|<defs>\s*</defs>")


def element(name: str, text: str) -> str:
    """Return one <svg> element, whose ids are those of no figure of another name."""
    svg = _METADATA.sub("", text[text.index("<svg") :])
    svg = svg.replace(f' id="{TOOLTIP}', ' data-told="')
    used = dict.fromkeys(_REFERENCE.findall(svg))
    prefix = hashlib.sha256(name.encode()).hexdigest()[:6]
    ids = {
        one: one if one.startswith(_FONT) else f"{prefix}-{i}"
        for i, one in enumerate(used)
    }
    svg = _ID.sub(lambda m: f' id="{ids[m[1]]}"' if m[1] in ids else "", svg)
    svg = _REFERENCE.sub(lambda m: m[0].replace(m[1], ids[m[1]]), svg)
    svg = _PLACES.sub(_rounded, svg)
    svg = _TRANSLATE.sub(_rounded, svg)
    svg = _USES.sub(_one_style, re.sub(r">\s+<", "><", svg))
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


def _one_style(match: re.Match[str]) -> str:
    """Return marks that inherit their style where all have the same one."""
    clip, marks, style = match.groups()
    own = f' style="{style}"'
    if marks.count(own) != marks.count("<use "):
        return match[0]
    return f'<g clip-path="{clip}"{own}>{marks.replace(own, "")}</g>'


def _rounded(match: re.Match[str]) -> str:
    return _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", match[0])
