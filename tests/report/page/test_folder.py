from pathlib import Path

import pytest

from kregkit.errors import StoreError
from kregkit.report.page import folder

PAGE = b'<meta name="kregkit-files" content="figures/a.svg report.md">'
FILES = {"index.html": PAGE, "figures/a.svg": b"<svg/>", "report.md": b"#"}


def names(path: Path) -> list[str]:
    return sorted(
        p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()
    )


def test_a_report_is_written_whole_with_its_parents(tmp_path: Path) -> None:
    folder.write(FILES, tmp_path / "deep" / "out")
    assert names(tmp_path) == [f"deep/out/{name}" for name in sorted(FILES)]


def test_an_earlier_report_is_replaced_and_leaves_nothing(tmp_path: Path) -> None:
    folder.write(FILES, tmp_path / "out")
    folder.write({"index.html": b"new"}, tmp_path / "out")
    assert names(tmp_path) == ["out/index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder.write(FILES, tmp_path / "out")
    assert names(tmp_path / "out") == sorted(FILES)


@pytest.mark.parametrize("name", ["notes.txt", "figures/mine.svg", "index.html"])
def test_a_folder_with_other_files_is_refused_untouched(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    if name != "index.html":
        folder.write(FILES, out)
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(StoreError) as error:
        folder.write(FILES, out)
    assert str(error.value) == (
        f"{out}: holds {name!r}, which is not part of a kregkit report; "
        "choose another folder"
    )
    assert names(tmp_path) == before
    assert (out / name).read_text() == "mine"


def test_a_link_to_a_folder_inside_is_refused(tmp_path: Path) -> None:
    folder.write(FILES, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="holds 'link'"):
        folder.write(FILES, tmp_path / "out")


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    with pytest.raises(StoreError) as error:
        folder.write(FILES, out)
    assert str(error.value) == (
        f"{out}: cannot be written: {tmp_path / 'file'} is not a folder"
    )


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StoreError, match="is not a folder"):
        folder.write(FILES, tmp_path / "out")


def test_a_write_that_fails_leaves_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(FILES, tmp_path / "out")
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "report.md":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left on device"):
        folder.write({**FILES, "figures/a.svg": b"other"}, tmp_path / "out")
    assert (tmp_path / "out/figures/a.svg").read_bytes() == b"<svg/>"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    folder.write(FILES, tmp_path / ".out.kregkit-old")
    (tmp_path / ".out.kregkit-new").mkdir()
    (tmp_path / ".out.kregkit-new/index.html").write_bytes(b"half")
    folder.write(FILES, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert names(tmp_path / "out") == sorted(FILES)
