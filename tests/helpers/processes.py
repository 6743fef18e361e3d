"""Runs a program in a process of its own."""

import json
import os
import subprocess
import sys

from helpers import ROOT, TESTS


def printed(code, *folders):
    """Return the JSON of the last line that a program prints.

    It finds kregkit, the helpers, and the modules in `folders`.
    """
    places = os.pathsep.join(map(str, (*folders, TESTS, ROOT)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
