"""The commands, on good input."""

import json

import pytest
from commands import run

from kregkit.schema import DATASETS, MODELS, REGULARIZERS

STUDY = """\
name = "quick"
title = "A <script>alert(1)</script> study"
seeds = 2
[data]
name = "iris"
[model]
name = "linear"
[train]
epochs = 1
learning_rate = 0.1
optimizer = "sgd"
[[sweep]]
regularizer = "L2"
target = "kernel"
strength = [1e-3, 1e9]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(STUDY)
    return tmp_path


def test_run_resumes_and_report_rebuilds_the_same_bytes(study, monkeypatch, capfd):
    assert run(monkeypatch, "run", "quick.toml") == 1
    out, err = capfd.readouterr()
    assert "2 of 6 trials failed: the report says which." in out
    assert out.startswith("Report: reports/quick/index.html")
    assert "6 of 6 trials 2 failed" in err
    page = (study / "reports" / "quick" / "index.html").read_bytes()
    assert b"<script>alert" not in page

    assert run(monkeypatch, "run", "quick.toml") == 1
    assert "6 of 6 trials are stored already." in capfd.readouterr().out
    assert (study / "reports" / "quick" / "index.html").read_bytes() == page

    assert run(monkeypatch, "report", "runs/quick", "-o", "again") == 0
    assert capfd.readouterr().out == "Report: again/index.html\n"
    assert (study / "again" / "index.html").read_bytes() == page


def test_plan_counts_the_trials_and_trains_nothing(study, monkeypatch, capfd):
    assert run(monkeypatch, "plan", "quick.toml") == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0] == "quick: 6 trials, 2 seeds"
    assert [line.split()[-1] for line in out[2:4]] == ["2", "4"]
    assert sorted(path.name for path in study.iterdir()) == ["quick.toml"]


def test_an_interrupted_run_says_how_to_resume(study, monkeypatch, capfd):
    from kregkit.study import train_fit

    train, calls = train_fit.train, []

    def interrupted(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return train(*arguments)

    monkeypatch.setattr(train_fit, "train", interrupted)
    assert run(monkeypatch, "run", "quick.toml") == 130
    out, err = capfd.readouterr()
    assert "Interrupted. What is finished is stored: run it again to resume." in out
    assert "Traceback" not in out + err
    assert len(list((study / "runs" / "quick" / "parts").iterdir())) == 1


def test_list_names_everything_that_a_study_can_name(monkeypatch, capfd):
    assert run(monkeypatch, "list") == 0
    words = capfd.readouterr().out.split()
    assert {*REGULARIZERS, *DATASETS, *MODELS} <= set(words)


def test_schema_is_json_that_names_every_section(monkeypatch, capfd):
    assert run(monkeypatch, "schema") == 0
    schema = json.loads(capfd.readouterr().out)
    assert {"name", "seeds", "data", "model", "train", "sweep"} <= set(
        schema["properties"]
    )
