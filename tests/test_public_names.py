"""A public class exists once in the package: one word, one idea."""

import ast
from collections import Counter

from helpers import ROOT


def test_no_two_modules_define_a_public_class_of_one_name():
    found = Counter(
        node.name
        for file in sorted((ROOT / "kregkit").rglob("*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(found) > 150
    assert [name for name, count in found.items() if count > 1] == []
