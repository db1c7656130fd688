"""How a cluster is brought back without this program: with tar, cp and the server itself."""

from collections.abc import Sequence

from pivori.components.postgres_physical.archives import tablespace_folder
from pivori.components.postgres_physical.facts import Facts


def commands(facts: Facts | None) -> Sequence[str]:
    """The commands, as root or as the server's user, in a folder that holds the files of a capture.

    ``$DATA`` is a new data directory, ``$TIME`` the moment to go back to.
    """
    if facts is None:
        return ()
    base = facts.bases[-1]
    lines = [
        f"# PostgreSQL {facts.major}; $DATA is a folder that does not exist yet. To go back to a moment before",
        f"# {base.ended:%Y-%m-%d %H:%M:%S%z}, take an older folder of base/ or an older recovery point.",
        'mkdir -m 700 "$DATA"',
        f'tar -xpf {base.folder}/base.tar -C "$DATA"',
    ]
    for archive, location in base.archives.items():
        if location:
            link = f'"$DATA"/{tablespace_folder(archive, base)}'
            lines += [
                # Its name may hold a newline, behind which the comment would end.
                f"# This was the tablespace in {location!r}.",
                f'mkdir -m 700 -p "$DATA.tablespaces"/{archive.removesuffix(".tar")}',
                f'tar -xpf {base.folder}/{archive} -C "$DATA.tablespaces"/{archive.removesuffix(".tar")}',
                f'ln -sfn "$DATA.tablespaces"/{archive.removesuffix(".tar")} {link}',
            ]
    return (
        *lines,
        'cp -r wal "$DATA/pivori_wal"',
        f'for file in "$DATA"/pivori_wal/*.partial; do test ! -e "$file" || '
        f'{{ truncate -s {facts.segment_size} "$file"; mv "$file" "${{file%.partial}}"; }}; done',
        'rm -f "$DATA/standby.signal"; touch "$DATA/recovery.signal"',
        'echo "restore_command = \'cp \\"pivori_wal/%f\\" \\"%p\\"\'" >> "$DATA/postgresql.auto.conf"',
        "# Only to go back to a moment, such as 2026-01-31 09:59:00+00:",
        'test -z "$TIME" || printf "recovery_target_time = \'%s\'\\nrecovery_target_action = \'promote\'\\n" "$TIME"'
        ' >> "$DATA/postgresql.auto.conf"',
        'test "$(id -u)" != 0 || chown -R postgres: "$DATA"*',
        "# Then start PostgreSQL over $DATA as its user; when it takes connections, remove what was added above:",
        '#   psql -c "alter system reset restore_command"; psql -c "alter system reset recovery_target_time"',
        '#   psql -c "alter system reset recovery_target_action"; rm -r "$DATA/pivori_wal"',
    )
