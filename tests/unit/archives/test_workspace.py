"""What a killed run left beside an archive is removed; what other programs keep there is not."""

from pathlib import Path

from pivori.archives.workspace import PARTIAL, remove_leftovers, workspace


def test_only_what_is_ours_is_removed(tmp_path: Path) -> None:
    others = [".download.partial", ".folder.partial", "visible.partial", f"visible{PARTIAL}"]
    for name in others:
        (tmp_path / name).write_text("not ours")
    (tmp_path / f".a.zip{PARTIAL}").touch()
    (tmp_path / f".pivori-x{PARTIAL}" / "stage").mkdir(parents=True)
    with workspace(tmp_path) as busy:
        assert remove_leftovers(tmp_path) == [tmp_path / f".a.zip{PARTIAL}", tmp_path / f".pivori-x{PARTIAL}"]
        assert busy.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
