"""URLs of database servers, as applications write them. What is kept of one is never its password."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

PORTS: Final = {"postgres": 5432, "mysql": 3306, "redis": 6379}

_SCHEMES: Final = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgis": "postgres",
    "mysql": "mysql",
    "mysql2": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "rediss": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    # redis-py's and Celery's word for a socket.
    "unix": "redis",
}
_ENCRYPTED: Final = frozenset({"rediss", "valkeys"})
_HERE: Final = frozenset(
    {
        *("", "localhost", "127.0.0.1", "::1", "host.docker.internal"),
        "0.0.0.0",  # noqa: S104 - as others write it; nothing listens here
    }
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a URL leads to: a server of a kind, its host (or the path of its socket), a user, a database."""

    kind: str
    host: str
    port: int
    user: str
    database: str
    has_password: bool
    is_encrypted: bool


def parse_database_url(value: str) -> Address | None:
    """The address in a text; None for everything that is no URL of a server of a known kind."""
    scheme, mark, _rest = value.partition("://")
    word = scheme.partition("+")[0].lower()
    kind = _SCHEMES.get(word)
    if not mark or kind is None:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    is_socket = word == "unix" or scheme.lower().endswith(("+unix", "+socket"))
    if is_socket and not parts.path.startswith("/"):
        return None
    host, number = (parts.path, None) if is_socket else _host_and_port(parts)
    database = "" if is_socket or kind == "redis" else unquote(parts.path.strip("/"))
    return Address(
        kind=kind,
        host=named_host(host),
        port=number or port or PORTS[kind],
        user=unquote(parts.username or ""),
        database=database,
        has_password=bool(parts.password),
        is_encrypted=word in _ENCRYPTED,
    )


def named_host(host: str) -> str:
    """A host by one name, whichever of its names this machine was called by."""
    return "localhost" if host.lower() in _HERE else host


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    """The host, where the query may name a socket: ``?host=/run/postgresql``, ``?unix_socket=/run/mysqld.sock``."""
    if parts.hostname:
        return unquote(parts.hostname), None
    query = parse_qs(parts.query)
    host = next((query[name][0] for name in ("host", "unix_socket", "socket") if name in query), "")
    port = query.get("port", [""])[0]
    return host, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None
