"""Runs the command line in this process."""

import sys

import pytest

from kregkit import cli


def run(monkeypatch, *arguments):
    """Return the exit status of a command."""
    monkeypatch.setattr(sys, "argv", ["kregkit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code
