"""Database servers: those in URLs and variables of ``.env`` files, and those that compose files start.

A password is never taken out of its file: what is kept is where it stands, ``{ env-file, key }``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pivori.components.compose.compose_files import values_of
from pivori.components.env_files import Unresolved, Variable, interpolated
from pivori.stack.discovery.compose_evidence import ComposeProject
from pivori.stack.discovery.database_urls import PORTS, named_host, parse_database_url
from pivori.stack.discovery.env_evidence import EnvFile
from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.translation import N_, Phrase

TITLES: Final = {"postgres": "PostgreSQL", "mysql": "MySQL/MariaDB", "redis": "Redis"}

_IMAGES: Final = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "timescaledb": "postgres",
    "timescaledb-ha": "postgres",
    "mysql": "mysql",
    "mysql-server": "mysql",
    "mariadb": "mysql",
    "percona": "mysql",
    "percona-server": "mysql",
    "redis": "redis",
    "redis-stack": "redis",
    "redis-stack-server": "redis",
    "valkey": "redis",
}
_CONNECTIONS: Final = {
    "pgsql": "postgres",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_HOST_NAMES: Final = {
    "postgres": ("POSTGRES_HOST", "PGHOST", "POSTGRES_SERVER", "POSTGRESQL_HOST"),
    "mysql": ("MYSQL_HOST", "MARIADB_HOST"),
    "redis": ("REDIS_HOST",),
}
_PORT_NAMES: Final = {"postgres": ("POSTGRES_PORT", "PGPORT"), "mysql": ("MYSQL_PORT",), "redis": ("REDIS_PORT",)}
_USER_NAMES: Final = {"postgres": ("POSTGRES_USER", "PGUSER"), "mysql": ("MYSQL_USER", "MARIADB_USER"), "redis": ()}
_PASSWORD_NAMES: Final = {
    "postgres": ("POSTGRES_PASSWORD", "PGPASSWORD"),
    "mysql": ("MYSQL_PASSWORD", "MARIADB_PASSWORD"),
    "redis": ("REDIS_PASSWORD",),
}
_NAME_NAMES: Final = {
    "postgres": ("POSTGRES_DB", "POSTGRES_DATABASE", "PGDATABASE"),
    "mysql": ("MYSQL_DATABASE", "MARIADB_DATABASE"),
    "redis": (),
}
_ROOT_PASSWORDS: Final = ("MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of the kind ``postgres``, ``mysql`` or ``redis``.

    ``service`` is the compose service it runs in, in the project of ``compose_path``; ``host`` is empty when nothing of
    it can be reached from this machine, and a path when that is by a socket. ``password`` says where its password
    stands; where that is known to the service alone, ``password_variable`` is the variable there.
    """

    kind: str
    host: str
    port: int
    user: str = ""
    password: Mapping[str, str] | None = None
    password_variable: str = ""
    databases: Sequence[str] = ()
    is_encrypted: bool = False
    service: str = ""
    compose_path: str = ""
    why: Sequence[Evidence] = field(default_factory=tuple)

    @property
    def is_reachable(self) -> bool:
        """Whether a client on this machine can come to it."""
        return bool(self.host)

    @property
    def place(self) -> str:
        """Where it is reached: host and port, or the path of its socket."""
        return self.host if self.host.startswith("/") else f"{self.host}:{self.port}"


def find_servers(env_files: Sequence[EnvFile], projects: Sequence[ComposeProject]) -> Sequence[Server]:
    """Every server once, whoever names it; those of compose files first."""
    believed = [file for file in env_files if file.is_believed]
    found = [server for project in projects for server in _in_compose(project, believed)]
    for file in believed:
        for server in [*_in_urls(file), *_in_variables(file)]:
            _add(found, server)
    return found


def describe_servers(servers: Sequence[Server]) -> Sequence[Discovery]:
    """One discovery per server."""
    return [Discovery(topic=Topic.DATABASE, what=_what(server), why=server.why) for server in servers]


def _what(server: Server) -> Phrase:
    title, service = TITLES[server.kind], server.service
    if service and server.is_reachable:
        return Phrase(
            N_("{title} in the service {service}, at {place}."), title=title, service=service, place=server.place
        )
    if service:
        return Phrase(
            N_("{title} in the service {service}, which has no port on this machine."), title=title, service=service
        )
    return Phrase(N_("{title} at {place}."), title=title, place=server.place)


# ---------------------------------------------------------------------- compose


def _in_compose(project: ComposeProject, env_files: Sequence[EnvFile]) -> list[Server]:
    """The servers that a project starts."""
    folder = project.paths[0].rpartition("/")[0]
    near = [file for file in env_files if file.path.rpartition("/")[0] == folder] or list(env_files)
    found = []
    for name, service in project.services.items():
        kind = _kind_of_image(str(service.get("image") or ""))
        if kind is not None:
            found.append(_server_of(project, name, service, kind, near))
    return found


def _kind_of_image(image: str) -> str | None:
    """The kind of server in an image: ``docker.io/bitnami/postgresql:15`` is one of postgres."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return _IMAGES.get(name.lower())


def _server_of(
    project: ComposeProject, name: str, service: Mapping[str, Any], kind: str, env_files: Sequence[EnvFile]
) -> Server:
    environment = values_of(service.get("environment"))
    values = {variable.name: variable.value for file in reversed(env_files) for variable in file.variables}
    own = {key: _filled(text, values) for key, text in environment.items()}
    known = values | own if _uses_env_file(service) else own
    user = _first(known, _USER_NAMES[kind]) or ("postgres" if kind == "postgres" else "")
    names = _PASSWORD_NAMES[kind]
    if kind == "mysql" and any(known.get(root) for root in _ROOT_PASSWORDS):
        user, names = "root", _ROOT_PASSWORDS
    password = _password_place(environment, names, env_files, whole=_uses_env_file(service))
    if kind == "redis" and password is None:
        password = _place_of_variable_in(str(service.get("command") or ""), env_files)
    database = _first(known, _NAME_NAMES[kind])
    published = _published_port(service, PORTS[kind], values)
    return Server(
        kind=kind,
        host="localhost" if published else "",
        port=published or PORTS[kind],
        user=user,
        password=password,
        password_variable="" if password else next((key for key in names if environment.get(key)), ""),
        databases=(database,) if database else (),
        service=name,
        compose_path=project.paths[0],
        why=[project.evidence("services", name)],
    )


def _uses_env_file(service: Mapping[str, Any]) -> bool:
    return bool(service.get("env_file"))


def _password_place(
    environment: Mapping[str, str], names: Sequence[str], env_files: Sequence[EnvFile], *, whole: bool
) -> Mapping[str, str] | None:
    """Where a password of a service stands: the variable that is filled in, or the one that ``env_file`` gives."""
    for name in names:
        if name in environment:
            return _place_of_variable_in(environment[name], env_files)
        if whole and (place := _place(name, env_files)):
            return place
    return None


def _place_of_variable_in(text: str, env_files: Sequence[EnvFile]) -> Mapping[str, str] | None:
    """Where the value of a ``${NAME}`` in a text stands."""
    for file in env_files:
        for variable in file.variables:
            if f"${{{variable.name}" in text or f"${variable.name}" in text.split():
                return _place(variable.name, env_files)
    return None


def _place(name: str, env_files: Sequence[EnvFile]) -> Mapping[str, str] | None:
    file = next((file for file in env_files if file.find(name)), None)
    return {"env-file": file.path, "key": name} if file is not None else None


def _published_port(service: Mapping[str, Any], port: int, values: Mapping[str, str]) -> int | None:
    """The port of this machine that leads to a port of a service."""
    if service.get("network_mode") == "host":
        return port
    ports = service.get("ports")
    for entry in ports if isinstance(ports, list) else ():
        if isinstance(entry, dict):
            target, published = str(entry.get("target", "")), str(entry.get("published", ""))
        else:
            words = _filled(str(entry), values).partition("/")[0].rsplit(":", 2)
            published, target = (words[-2], words[-1]) if len(words) > 1 else ("", words[0])
        published = _filled(published, values)
        if target == str(port) and published.isdecimal():
            return int(published)
    return None


# ---------------------------------------------------------------------- .env


def _in_urls(file: EnvFile) -> list[Server]:
    """The servers whose URLs stand in a file."""
    found = []
    for variable in file.variables:
        address = parse_database_url(variable.value)
        if address is not None:
            server = Server(
                kind=address.kind,
                host=address.host,
                port=address.port,
                user=address.user,
                password={"env-file": file.path, "key": variable.name} if address.has_password else None,
                databases=(address.database,) if address.database else (),
                is_encrypted=address.is_encrypted,
                why=[Evidence(path=file.path, line=variable.line)],
            )
            found.append(server)
    return found


def _in_variables(file: EnvFile) -> list[Server]:
    """The servers that single variables of a file describe: ``POSTGRES_HOST`` and the like, Laravel's ``DB_…``."""
    found = []
    for kind in PORTS:
        host = file.find(*_HOST_NAMES[kind])
        if host is not None:
            found.append(
                _server_of_variables(
                    file, kind, host, _PORT_NAMES[kind], _USER_NAMES[kind], _PASSWORD_NAMES[kind], _NAME_NAMES[kind]
                )
            )
    connection = file.find("DB_CONNECTION", "DB_ENGINE", "DB_TYPE", "DB_DRIVER", "DB_DIALECT")
    kind_of = _CONNECTIONS.get(connection.value.rpartition(".")[2].lower()) if connection is not None else None
    host = file.find("DB_HOST", "DATABASE_HOST")
    if kind_of is not None and host is not None:
        found.append(
            _server_of_variables(
                file,
                kind_of,
                host,
                ("DB_PORT", "DATABASE_PORT"),
                ("DB_USERNAME", "DB_USER", "DATABASE_USER"),
                ("DB_PASSWORD", "DATABASE_PASSWORD"),
                ("DB_DATABASE", "DB_NAME", "DATABASE_NAME"),
            )
        )
    return found


def _server_of_variables(
    file: EnvFile,
    kind: str,
    host: Variable,
    ports: Sequence[str],
    users: Sequence[str],
    passwords: Sequence[str],
    names: Sequence[str],
) -> Server:
    port, user, password, name = (file.find(*words) if words else None for words in (ports, users, passwords, names))
    return Server(
        kind=kind,
        host=named_host(host.value),
        port=int(port.value) if port is not None and port.value.isdecimal() else PORTS[kind],
        user=user.value if user is not None else "",
        password={"env-file": file.path, "key": password.name} if password is not None else None,
        databases=(name.value,) if name is not None else (),
        why=[Evidence(path=file.path, line=host.line)],
    )


# ---------------------------------------------------------------------- together


def _add(found: list[Server], server: Server) -> None:
    """Add a server, or what is new about one that is known already."""
    for number, known in enumerate(found):
        if known.kind == server.kind and _is_same(known, server):
            found[number] = replace(
                known,
                user=known.user or server.user,
                password=known.password or (server.password if known.user in ("", server.user) else None),
                databases=list(dict.fromkeys([*known.databases, *server.databases])),
                why=list(dict.fromkeys([*known.why, *server.why])),
            )
            return
    found.append(server)


def _is_same(known: Server, server: Server) -> bool:
    """Whether a server is one that is known: by its address, or as the name it has among the services."""
    if known.service and server.host == known.service:
        return True
    return known.is_reachable and (known.host, known.port) == (server.host, server.port)


def _filled(text: str, values: Mapping[str, str]) -> str:
    try:
        return interpolated(text, values)
    except Unresolved:
        return text


def _first(values: Mapping[str, str], names: Sequence[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")
