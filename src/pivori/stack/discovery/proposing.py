"""From what was found to the components of a configuration file: plain names, kinds and options.

The objectives are those of the platform this program was made for: source 5 min and 1 min, configuration 10 min and
1 min, services 30 min and an hour, databases 15 min and an hour, secrets 5 min and a minute.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pivori.components.base import Finding, Gravity
from pivori.stack.discovery.compose_evidence import ComposeProject, describe_compose, find_compose_projects
from pivori.stack.discovery.container_dumps import command_in_container, password_command
from pivori.stack.discovery.database_evidence import TITLES, Server, describe_servers, find_servers
from pivori.stack.discovery.env_evidence import describe_env_files, find_env_files
from pivori.stack.discovery.evidence import Discovery, Evidence
from pivori.stack.discovery.git_evidence import describe_work_trees, find_work_trees
from pivori.stack.discovery.ignored_evidence import find_ignored, find_unignored
from pivori.stack.discovery.package_evidence import find_packages
from pivori.stack.discovery.secret_evidence import describe_secrets, find_secret_files
from pivori.stack.discovery.sqlite_evidence import describe_sqlite, find_sqlite_files
from pivori.stack.discovery.upload_evidence import describe_uploads, find_upload_folders
from pivori.stack.discovery.walk import Inventory, take_inventory
from pivori.translation import N_, Phrase

_SOURCE: Final = ("5m", "1m")
_CONFIGURATION: Final = ("10m", "1m")
_SERVICES: Final = ("30m", "1h")
_DATABASE: Final = ("15m", "1h")
_SECRETS: Final = ("5m", "1m")

_CONFIGURATION_FOLDERS: Final = frozenset(
    {
        "config",
        "conf",
        "configuration",
        "nginx",
        "traefik",
        "caddy",
        "prometheus",
        "grafana",
        "monitoring",
        "helm",
        "k8s",
    }
)
_CONFIGURATION_FILES: Final = frozenset({"nginx.conf", "Caddyfile", "traefik.yml", "traefik.yaml", "prometheus.yml"})
_USUAL_NAMES: Final = {"postgres": "database", "mysql": "database", "redis": "cache"}
_MOST_WORK_TREES: Final = 10


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A component as the configuration file will have it. ``why`` is what it rests on."""

    name: str
    kind: str
    options: Mapping[str, Any]
    rto: str
    rpo: str
    why: Sequence[Evidence] = ()


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """A stack that is proposed. ``attention`` is what somebody has to decide or mend."""

    name: str
    root: Path
    discoveries: Sequence[Discovery]
    components: Sequence[Proposal]
    attention: Sequence[Finding] = field(default_factory=tuple)


def discover(root: Path) -> Proposals:
    """Look at a folder and propose what protects it. Reads only; nothing in the folder can make it fail."""
    inventory = take_inventory(root)
    env_files = find_env_files(inventory)
    projects, broken = find_compose_projects(inventory)
    servers = find_servers(env_files, projects)
    databases = find_sqlite_files(inventory)
    uploads = find_upload_folders(inventory)
    keys = find_secret_files(inventory)
    work_trees = find_work_trees(inventory)
    secret_paths = list(dict.fromkeys([*(file.path for file in env_files), *keys]))
    making = _Making(root, inventory, work_trees)
    making.add_secrets(secret_paths)
    making.add_configuration(projects)
    making.add_servers(servers)
    making.add_sqlite(databases)
    making.add_projects(projects, servers)
    making.add_uploads(uploads)
    making.add_source()
    making.add_files()
    if not inventory.is_whole:
        making.warn(Phrase(N_("The folder is so large that not all of it was looked at.")))
    if inventory.unwritable:
        phrase = N_(
            "Names that are no UTF-8: {count}. They cannot stand in the configuration; only `files` takes them."
        )
        making.warn(Phrase(phrase, count=inventory.unwritable))
    return Proposals(
        name=_stack_name(root),
        root=root,
        discoveries=[
            *(describe_compose(project) for project in projects),
            *broken,
            *describe_env_files(env_files),
            *describe_work_trees(work_trees),
            *find_packages(inventory),
            *describe_servers(servers),
            *describe_sqlite(databases),
            *describe_uploads(uploads),
            *describe_secrets(keys),
        ],
        components=making.components,
        attention=[
            *(Finding(gravity=Gravity.FAILURE, message=discovery.what) for discovery in broken),
            *making.attention,
        ],
    )


class _Making:
    """Collects the components, each under a name of its own."""

    def __init__(self, root: Path, inventory: Inventory, work_trees: Sequence[str]) -> None:
        self._root = root
        self._inventory = inventory
        ignored = {tree: find_ignored(inventory, tree) for tree in work_trees[:_MOST_WORK_TREES]}
        # A repository that git cannot read is captured as the files it is made of.
        self._ignored = {tree: paths for tree, paths in ignored.items() if paths is not None}
        self._work_trees = list(self._ignored)
        self._secret_paths: list[str] = []
        self._taken: list[str] = []
        self._captured: dict[str, set[str]] = {}
        self.components: list[Proposal] = []
        self.attention: list[Finding] = []
        if len(work_trees) > _MOST_WORK_TREES:
            self.warn(Phrase(N_("There are {count} git work trees; the first are proposed."), count=len(work_trees)))

    def _add(
        self, name: str, kind: str, options: Mapping[str, Any], objectives: tuple[str, str], why: Sequence[Evidence]
    ) -> None:
        rto, rpo = objectives
        self.components.append(
            Proposal(name=self._free(_word(name) or kind), kind=kind, options=options, rto=rto, rpo=rpo, why=why)
        )

    def _free(self, name: str) -> str:
        taken = {component.name for component in self.components}
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return free

    def warn(self, message: Phrase) -> None:
        """Note something that somebody should know."""
        self.attention.append(Finding(gravity=Gravity.WARNING, message=message))

    def _kept_by_git(self, paths: Sequence[str]) -> set[str]:
        """Those of the paths that a component of git captures anyway."""
        return set(find_unignored(self._inventory, self._work_trees, paths))

    def add_secrets(self, paths: Sequence[str]) -> None:
        """The files that are sealed; the recipient is made when the proposal is applied."""
        self._secret_paths = list(paths)
        self._taken += paths
        if paths:
            why = [Evidence(path=path) for path in paths]
            self._add("secrets", "secrets", {"files": [_literal(path) for path in paths]}, _SECRETS, why)
        for path in sorted(self._kept_by_git(paths)):
            phrase = N_("{path} is not ignored by git, so it is captured unsealed with its work tree, too: ignore it.")
            self.warn(Phrase(phrase, path=path))

    def add_configuration(self, projects: Sequence[ComposeProject]) -> None:
        """What a person would look at first to see how it is all put together, where git does not keep it."""
        paths = [path for project in projects for path in project.paths]
        paths += [folder for folder in self._inventory.folders if folder in _CONFIGURATION_FOLDERS]
        paths += [file for file in self._inventory.files if file in _CONFIGURATION_FILES]
        self._add_files_of_their_own("configuration", paths, _CONFIGURATION)

    def _add_files_of_their_own(self, name: str, paths: Sequence[str], objectives: tuple[str, str]) -> None:
        """A component of files and folders that nobody else captures."""
        kept = self._kept_by_git(paths)
        own = [path for path in paths if path not in kept and not _is_in(path, self._taken)]
        if not own:
            return
        options: dict[str, Any] = {"paths": own}
        if inside := self._anchored([path for path in self._taken if _is_in(path, own)]):
            options["exclude"] = inside
        self._taken += own
        self._add(name, "files", options, objectives, [Evidence(path=path) for path in own])

    def add_servers(self, servers: Sequence[Server]) -> None:
        """A component per server that can be reached, or a command in its container."""
        for server in servers:
            name = self._free(_server_name(server, servers))
            command = None if server.is_reachable else command_in_container(server, self._root)
            if server.is_reachable:
                self._add(name, server.kind, _server_options(server, self._root), _DATABASE, server.why)
            elif command is not None:
                self._add(name, "command", command, _DATABASE, server.why)
            if server.service and (server.is_reachable or command is not None):
                self._captured.setdefault(server.compose_path, set()).add(server.service)
            if server.is_reachable and _lacks_password(server):
                self._warn(N_("No password was found for {title} of {component}."), server, component=name)

    def add_sqlite(self, databases: Sequence[str]) -> None:
        """All SQLite files together."""
        if databases:
            why = [Evidence(path=path) for path in databases]
            self._add("sqlite", "sqlite", {"paths": [_literal(path) for path in databases]}, _DATABASE, why)
        for path in sorted(self._kept_by_git(databases)):
            self.warn(Phrase(N_("{path} is not ignored by git, so it is captured twice: ignore it."), path=path))
        for end in ("", "-wal", "-shm", "-journal"):
            self._taken += [f"{path}{end}" for path in databases]

    def add_projects(self, projects: Sequence[ComposeProject], servers: Sequence[Server]) -> None:
        """The compose projects, without the volumes of databases that have a component of their own."""
        for project in projects:
            captured = self._captured.get(project.paths[0], set())
            left_out = project.volumes_of(captured)
            self._taken += project.binds_inside(captured, self._root)
            options: dict[str, Any] = {"file": list(project.paths) if len(project.paths) > 1 else project.paths[0]}
            if left_out:
                options["exclude-volumes"] = list(left_out)
            if not project.binds_outside(self._root):
                options["bind-mounts"] = False
            if set(project.volumes) - set(left_out) or options.get("bind-mounts", True):
                options["quiesce"] = "pause"
            folder = project.paths[0].rpartition("/")[0]
            name = "services" if len(projects) == 1 else f"services-{folder or 'main'}"
            self._add(name, "compose", options, _SERVICES, [project.evidence("services")])
            for server in servers:
                is_here = server.service and server.compose_path == project.paths[0]
                if is_here and server.service not in captured and not project.volumes_of({server.service}):
                    self._warn(N_("Nothing captures {title} in the service {service}: it has no port here."), server)

    def _warn(self, sentence: str, server: Server, **details: object) -> None:
        self.warn(Phrase(sentence, title=TITLES[server.kind], service=server.service, **details))

    def add_uploads(self, folders: Sequence[str]) -> None:
        """What users have brought in, which can then be recovered alone; git may keep it all the same."""
        self._add_files_of_their_own("uploads", folders, _SERVICES)

    def add_source(self) -> None:
        """The git work trees."""
        for folder in self._work_trees:
            name = "source" if not folder else f"source-{folder.rpartition('/')[2]}"
            why = [Evidence(path=f"{folder}/.git" if folder else ".git")]
            self._add(name, "git", {"path": folder or "."}, _SOURCE, why)

    def add_files(self) -> None:
        """Everything else: what git ignores, and what is in no work tree.

        No file is captured by two components that bring it back: one would have to move that of the other aside.
        """
        data: list[str] = []
        for tree, paths in self._ignored.items():
            inner = [other for other in self._work_trees if other != tree and (not tree or _is_in(other, [tree]))]
            data += [path for path in paths if not _is_in(path, inner)]
        self._add_files_of_their_own("data", sorted(data), _SERVICES)
        if "" not in self._work_trees:
            excluded = list(dict.fromkeys([*self._taken, *self._work_trees]))
            options: dict[str, Any] = {"paths": ["."]}
            if excluded:
                options["exclude"] = self._anchored(excluded)
            self._add("source", "files", options, _SOURCE, ())

    def _anchored(self, paths: Sequence[str]) -> list[str]:
        """Paths as patterns that mean nothing else."""
        return [f"/{_literal(path)}" for path in paths]


def _server_name(server: Server, servers: Sequence[Server]) -> str:
    """``database`` and ``cache``; where there are several, with what tells them apart."""
    usual = _USUAL_NAMES[server.kind]
    if sum(_USUAL_NAMES[other.kind] == usual for other in servers) == 1:
        return usual
    place = "" if server.host.startswith(("/", "localhost")) else server.host
    return _word(f"{usual}-{server.service or place or server.kind}")


def _lacks_password(server: Server) -> bool:
    """Whether a password is usual there: over a socket and for Redis it is not."""
    return not (server.password or server.password_variable or server.kind == "redis" or server.host.startswith("/"))


def _server_options(server: Server, root: Path) -> dict[str, Any]:
    is_socket = server.host.startswith("/")
    options: dict[str, Any] = {"socket" if is_socket else "host": server.host}
    if not is_socket or server.kind == "postgres":
        options["port"] = server.port
    if server.is_encrypted:
        options["tls"] = True
    if server.user:
        options["user"] = server.user
    if server.password is not None:
        options["password"] = dict(server.password)
    elif server.password_variable:
        options["password"] = {"command": password_command(server, root)}
    return options


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _literal(path: str) -> str:
    """A path in which no letter is a wildcard."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _word(text: str) -> str:
    """A text as the name of a component."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:50]


def _stack_name(root: Path) -> str:
    return _word(root.absolute().name) or "stack"
