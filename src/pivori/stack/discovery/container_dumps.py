"""Commands in containers: dumps of databases that no port of this machine leads to, and passwords only they know."""

import shlex
from pathlib import Path
from typing import Any

from pivori.stack.discovery.database_evidence import Server


def command_in_container(server: Server, root: Path) -> dict[str, Any] | None:
    """The dump of a database through its container, where no port leads to it; None for what has none."""
    words = ["docker", "compose", "-f", str(root / server.compose_path), "exec", "-T", server.service, "sh", "-c"]
    if server.kind == "postgres":
        return {
            "capture": [*words, 'exec pg_dumpall --clean --if-exists -U "${POSTGRES_USER:-postgres}"'],
            "restore": [*words, 'exec psql -q -v ON_ERROR_STOP=0 -U "${POSTGRES_USER:-postgres}" -d postgres'],
            "filename": "databases.sql",
            "consistency": "transaction",
        }
    if server.kind == "mysql":
        login = 'MYSQL_PWD="${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}"; export MYSQL_PWD; '
        dump = 'exec "$(command -v mariadb-dump || command -v mysqldump)" -u root --all-databases --single-transaction'
        return {
            "capture": [*words, f"{login}{dump} --routines --events --triggers"],
            "restore": [*words, f'{login}exec "$(command -v mariadb || command -v mysql)" -u root'],
            "filename": "databases.sql",
            "consistency": "transaction",
        }
    return None


def password_command(server: Server, root: Path) -> str:
    """The command line that prints the password which a service has in a variable."""
    words = ["docker", "compose", "-f", str(root / server.compose_path), "exec", "-T", server.service]
    return shlex.join([*words, "printenv", server.password_variable])
