"""The free memory, for engines and readers of data files.

It is the minimum of the machine's available memory, of what the process's control
groups and their parents (versions 1 and 2) leave, and of what `ulimit -v` and
`ulimit -d` leave. Limits that a system does not have are ignored.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def memory(root: Path = Path("/")) -> int:
    """Return the number of bytes that this process may still allocate.

    `root` is the folder with `proc` and `sys`.
    """
    known = os.sysconf_names
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in known else "SC_PHYS_PAGES"
    free = os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):  # includes memory that caches can free
            free = int(line.split()[1]) * 1024
    return max(0, min([free, *_of_groups(root), *_of_limits(root)]))


def _of_groups(root: Path) -> Iterator[int]:
    """Yield the free bytes in each control group of this process."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        mounts = root / "sys/fs/cgroup"
        if "memory" in controllers.split(","):
            yield from _of_parents(
                mounts / "memory",
                path,
                ("memory.limit_in_bytes", "memory.usage_in_bytes"),
                "total_inactive_file",
            )
        elif not controllers:
            names = ("memory.max", "memory.current")
            for mount in (mounts, mounts / "unified"):
                yield from _of_parents(mount, path, names, "inactive_file")


def _of_parents(
    mount: Path, path: str, names: tuple[str, str], cache: str
) -> Iterator[int]:
    """Yield the free bytes in a group and its parents, if they have a limit.

    In a container, `path` may be a path of the host. The mount is then the group.
    """
    group = PurePosixPath(path.lstrip("/"))
    inside = [] if ".." in group.parts else [group, *group.parents]
    for place in dict.fromkeys((*inside, PurePosixPath("."))):
        limit, used = (_lines(mount / place / name) for name in names)
        if limit and limit[0].isdigit():
            cached = [row.split() for row in _lines(mount / place / "memory.stat")]
            # The kernel frees the file cache before it refuses memory.
            held = sum(map(int, used)) - sum(
                int(n) for key, n in cached if key == cache
            )
            yield int(limit[0]) - held


def _of_limits(root: Path) -> Iterator[int]:
    """Yield the free bytes within the limits of this process."""
    if sys.platform == "win32":  # has no such limits
        return
    import resource

    pages = [int(n) for line in _lines(root / "proc/self/statm") for n in line.split()]
    if not pages:
        return
    size = os.sysconf("SC_PAGE_SIZE")
    limits = ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5]))
    for kind, used in limits:
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            yield limit - used * size


def _lines(file: Path) -> list[str]:
    """Return the lines of a file, or none if it does not exist."""
    return file.read_text().splitlines() if file.exists() else []
