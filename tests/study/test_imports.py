import subprocess
import sys

import pytest

HEAVY = ("keras", "tensorflow", "sklearn", "polars", "matplotlib")


LIGHT = ("file.config", "plan", "file.locate", "data.sources", "engines.workers")


def loaded(module):
    """Return which heavy packages importing the module loads, in a new process."""
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", LIGHT)
def test_reading_a_study_loads_nothing_heavy(module):
    assert loaded(f"kregkit.study.{module}") == []


def test_the_command_line_loads_nothing_heavy():
    assert loaded("kregkit.cli") == []


def test_the_test_above_can_fail():
    assert "keras" in loaded("kregkit.study.problem.models")
