"""What tests share: models, studies, oracles, and where the repository is."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
