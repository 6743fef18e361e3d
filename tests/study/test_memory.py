"""The memory that is left: of the machine, of control groups, of `ulimit`."""

import os
import resource
import subprocess
import sys

import pytest

from kregkit.study.memory import memory

MIB = 2**20


def tree(root, files):
    """Write the files of a system, each a text or a number."""
    given = {"proc/meminfo": "MemTotal: 8192 kB\nMemAvailable: 4194304 kB\n", **files}
    for name, text in given.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


def limited(folder, limit, used=0, cached=0, version=2):
    """Return the files of one control group."""
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }
    limit_name, used_name, cache = names[version]
    place = f"sys/fs/cgroup/{folder}"
    return {
        f"{place}/{limit_name}": limit,
        f"{place}/{used_name}": used,
        f"{place}/memory.stat": f"anon 5\n{cache} {cached}",
    }


def of(path, *groups):
    return {"proc/self/cgroup": path} | {k: v for own in groups for k, v in own.items()}


NONE = 9223372036854771712
V1 = "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/"
TREES = {
    "no group": ({}, 4096 * MIB),
    "no limit": (of("0::/a", limited("a", "max")), 4096 * MIB),
    "version 2": (of("0::/a", limited("a", 900 * MIB, 200 * MIB)), 700 * MIB),
    "caches can be dropped": (
        of("0::/a", limited("a", 900 * MIB, 200 * MIB, 50 * MIB)),
        750 * MIB,
    ),
    "a parent has less": (
        of("0::/a/b/c", limited("a", 500 * MIB), limited("a/b/c", 900 * MIB)),
        500 * MIB,
    ),
    "a parent with others in it": (
        of("0::/a/b", limited("a", 800 * MIB, 700 * MIB), limited("a/b", 200 * MIB)),
        100 * MIB,
    ),
    "the root is limited": (of("0::/", limited(".", 300 * MIB)), 300 * MIB),
    "a container with the host's path": (
        of("0::/docker/1", limited(".", 300 * MIB)),
        300 * MIB,
    ),
    "a path outside of the mount": (
        of("0::/../x", limited(".", 300 * MIB), limited("../x", 1)),
        300 * MIB,
    ),
    "version 1": (
        of(V1, limited("memory/a/b", 600 * MIB, 100 * MIB, version=1)),
        500 * MIB,
    ),
    "version 1 without a limit": (
        of(V1, limited("memory/a/b", NONE, 5, version=1)),
        4096 * MIB,
    ),
    "a parent of version 1": (
        of(
            V1,
            limited("memory/a", 400 * MIB, version=1),
            limited("memory/a/b", NONE, version=1),
        ),
        400 * MIB,
    ),
    "both versions": (
        of("4:cpu:/\n0::/a", limited("unified/a", 250 * MIB)),
        250 * MIB,
    ),
    "more is used than allowed": (of("0::/a", limited("a", 10, 20)), 0),
}


@pytest.mark.parametrize("kind", TREES)
def test_the_least_that_a_control_group_leaves_is_left(kind, tmp_path):
    files, left = TREES[kind]
    tree(tmp_path, files)
    assert memory(tmp_path) == left


@pytest.mark.parametrize(
    ("kind", "place"), [(resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)]
)
def test_a_limit_of_the_process_counts_what_it_has_taken(
    kind, place, tmp_path, monkeypatch
):
    page = os.sysconf("SC_PAGE_SIZE")
    taken = ["0"] * 7
    taken[place] = str(100 * MIB // page)
    tree(tmp_path, {"proc/self/statm": " ".join(taken)})
    before = resource.getrlimit
    monkeypatch.setattr(
        resource,
        "getrlimit",
        lambda own: (700 * MIB, -1) if own == kind else (-1, before(own)[1]),
    )
    assert memory(tmp_path) == 600 * MIB


def test_ulimit_is_seen_by_a_process_under_it():
    code = "from kregkit.study.memory import memory; print(memory())"
    command = f"ulimit -v 1048576; exec '{sys.executable}' -c '{code}'"
    ran = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True
    )
    assert 0 < int(ran.stdout) < 2**30


def test_memory_is_a_part_of_what_the_machine_has():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert MIB < memory() <= total
