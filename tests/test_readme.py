"""Every code block of the README is run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kregkit import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


def test_every_block_has_a_language_that_a_test_runs():
    assert {kind for kind, _ in BLOCKS} == {"python", "toml", "console"}
    assert README.count("```") == 2 * len(BLOCKS)


def test_the_python_blocks_run_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks("python"):
        exec(block, namespace)
    assert (tmp_path / "log.png").stat().st_size > 10_000
    assert namespace["table"].height == 27
    assert (tmp_path / "optimality.png").stat().st_size > 10_000
    assert (tmp_path / "mine.png").stat().st_size > 10_000
    assert namespace["mine"].trials.height == 1
    assert namespace["residuals"]["kkt_residual"].null_count() == 0


def commands():
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]


def test_the_study_and_its_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (text,) = blocks("toml")
    assert "seeds = 5" in text
    Path("iris.toml").write_text(text.replace("seeds = 5", "seeds = 1"))
    ran = [command for command in commands() if command[0] == "kregkit"]
    assert [command[1] for command in ran] == [
        "plan",
        "run",
        "report",
        "list",
        "schema",
        "init",
    ]
    for command in ran:
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, capsys.readouterr()
    page = Path("reports/iris_l1_l2/index.html").read_bytes()
    assert page == Path("again/index.html").read_bytes()
    assert "13 trials" in capsys.readouterr().out


def test_the_make_targets_exist():
    targets = [command[1] for command in commands() if command[0] == "make"]
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(
            ["make", "-n", target], cwd=ROOT, check=True, capture_output=True
        )


def test_every_path_that_the_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
