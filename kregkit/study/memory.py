"""How much memory is left, for engines and for readers of data files."""

import os
from pathlib import Path


def memory() -> int:
    """Return the bytes of memory that this process may still take."""
    known = os.sysconf_names
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in known else "SC_PHYS_PAGES"
    free = os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):  # with what caches can give back
            free = int(line.split()[1]) * 1024
    group = Path("/sys/fs/cgroup")
    for line in _lines(group / "memory.max"):
        if line.isdigit():
            held = sum(map(int, _lines(group / "memory.current")))
            cached = [row.split() for row in _lines(group / "memory.stat")]
            held -= sum(int(n) for name, n in cached if name == "inactive_file")
            free = min(free, int(line) - held)
    return free


def _lines(file: Path) -> list[str]:
    """Return the lines of a file that only Linux has."""
    return file.read_text().splitlines() if file.exists() else []
