"""A part of a snapshot, restored by the whole program."""

from tests.conftest import Pivori


def test_at_the_root_of_the_machine_only_the_documents_of_the_backup_are_left_out(pivori: Pivori) -> None:
    """A folder that is named as theirs, at the top of a part, is the user's own."""
    source = pivori.home / "source"
    (source / ".pivori").mkdir(parents=True)
    (source / ".pivori" / "mine").write_text("mine")
    (source / "x.log").write_text("left out, so that there are documents")
    pivori("backup", "-s", "smart", source)
    assert "/.pivori/manifest.json" in pivori("ls", "latest").stdout.splitlines()
    # The folder has a name of its own, and this is a rehearsal: nothing comes to the root of this machine.
    part = pivori("restore", f"latest:{source}", "--target", "/", "--dry-run")
    assert ".pivori/mine" in part.stdout
    whole = pivori("restore", "latest", "--target", "/", "--dry-run", "-v").stdout.splitlines()
    shown = [line.split()[-1] for line in whole if ".pivori" in line]
    assert shown
    assert all(path.startswith(str(source).lstrip("/")) for path in shown)
