"""Sows the faults of `faults.toml` one at a time and says which of them a test catches.

    python tests/sow_faults.py [--short] [PART ...]

They are sown in a copy of the package and the tests; nothing is changed here. Before
the first, the tests of all must pass there. With `--short`, the quick ones are sown;
with PART, those in files whose paths contain one of these. Exit status 1: a fault was
not caught, or its test did not run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("kregkit", "tests", "pyproject.toml")
SECONDS = 900
"""A test that takes longer with a fault in the package has not caught it."""


def copy(to):
    """Copy what faults are sown in, and link the rest of the tree."""
    for own in ROOT.iterdir():
        if own.is_dir() and own.name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(own, to / own.name, ignore=ignored)
        elif own.name in COPIED:
            shutil.copy(own, to / own.name)
        elif not own.name.startswith("."):
            (to / own.name).symlink_to(own)


def outcome(tree, *tests):
    """Return the exit status of pytest on these tests in the copy, and what it says."""
    # Compiled files are told apart by seconds and sizes, which a fault need not change.
    environment = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ("-x", "-q", "--no-header", "-p", "no:cacheprovider")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"took more than {SECONDS} seconds"
    return ended.returncode, ended.stdout + ended.stderr


def of_the_copy(tree):
    """Return whether the tests in the copy import the package in the copy."""
    asks = "import kregkit; print(kregkit.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    told = subprocess.check_output(
        [sys.executable, "-c", asks], cwd=tree, env=environment, text=True
    )
    return Path(told.strip()).is_relative_to(tree)


def sow(tree, fault):
    """Sow one fault and take it out again; return whether its test failed."""
    file = tree / fault["file"]
    source = file.read_text("utf-8")
    assert source.count(fault["text"]) == 1, fault
    file.write_text(source.replace(fault["text"], fault["put"]), "utf-8")
    begin = time.perf_counter()
    status, said = outcome(tree, fault["test"])
    file.write_text(source, "utf-8")
    verdict = {0: "NOT CAUGHT", 1: "caught"}.get(status, "DID NOT RUN")
    seconds = time.perf_counter() - begin
    print(f"{verdict:12}{seconds:6.1f} s  {fault['file']}: {fault['why']}", flush=True)
    if status not in (0, 1):
        print(said)
    return status == 1


def main(arguments):
    """Sow the faults that are asked for and return the exit status."""
    parts = [own for own in arguments if own != "--short"]
    faults = [
        fault
        for fault in tomllib.loads((ROOT / "tests/faults.toml").read_text("utf-8"))[
            "fault"
        ]
        if fault.get("short") or "--short" not in arguments
        if any(part in fault["file"] for part in parts) or not parts
    ]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        copy(tree)
        assert of_the_copy(tree)
        status, said = outcome(tree, *dict.fromkeys(own["test"] for own in faults))
        if status != 0:
            print(f"Without a fault:\n{said}")
            return 1
        caught = sum([sow(tree, fault) for fault in faults])
    print(f"{caught} of {len(faults)} faults were caught.")
    return int(caught < len(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
