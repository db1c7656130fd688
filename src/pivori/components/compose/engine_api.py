"""A client of the Docker engine's API over its Unix socket: a handful of requests, each with a time limit.

Paths carry a version of the API that the engine names itself. Whatever goes wrong between here and the engine is an
error a person understands; nothing the engine says is trusted to be complete or well formed.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import quote, urlencode

from pivori.components.base import ComponentFailed
from pivori.translation import N_, ByteCount, Phrase

DEFAULT_SOCKET: Final = "/var/run/docker.sock"

_SOCKET_ADDRESS: Final = "unix://"
_MOST: Final = 64 << 20
"""Bytes of an answer that are read; more of it is none of an engine's."""
_LONGEST_LINE: Final = 1 << 20
_PREFERRED: Final = (1, 44)
"""The version of the API that is spoken where the engine speaks it."""
_PULL_PATIENCE: Final = 300.0
"""Seconds without a word in which an image may be fetched."""


class EngineUnreachable(ComponentFailed):
    """Nobody answers at the engine's socket."""

    code = "engine-unreachable"
    message = N_("The Docker engine at {socket} cannot be reached: {reason}.")
    hint = N_("Start the engine, or name its socket with `socket`; this user must be allowed to use it.")


class EngineRefused(ComponentFailed):
    """The engine did not do what it was asked for."""

    code = "engine-refused"
    message = N_("The Docker engine refused {request} with status {status}: {reason}.")
    hint = N_("Look at the engine's own log, then run the command again.")


class EngineSilent(ComponentFailed):
    """The engine's answer did not come, or did not come whole."""

    code = "engine-silent"
    message = N_("The Docker engine did not answer {request} to the end: {reason}.")
    hint = N_("See whether the engine still runs, then run the command again.")


class EngineElsewhere(ComponentFailed):
    """The address of the engine is not that of a Unix socket."""

    code = "engine-elsewhere"
    message = N_("The Docker engine at {address} is not on a Unix socket.")
    hint = N_("Volumes are read where the engine keeps them: run this on its machine, with the path of its socket.")


def socket_path(address: str) -> str:
    """The path of a socket, given as one or as ``unix://…``. Raises EngineElsewhere."""
    path = address.removeprefix(_SOCKET_ADDRESS)
    if "://" in path:
        raise EngineElsewhere(address=path.partition("://")[0] + "://…")
    return path


class _SocketConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self._path)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class Engine:
    """An engine at a socket. Each request has a connection of its own and ``timeout`` seconds per read."""

    def __init__(self, address: str = DEFAULT_SOCKET, *, timeout: float = 30.0) -> None:
        """Nothing is opened before the first request. Raises EngineElsewhere."""
        self.path = socket_path(address)
        self._timeout = timeout
        self._version: str | None = None

    def version(self) -> Mapping[str, Any]:
        """What the engine says of itself: ``Version``, ``ApiVersion`` and more."""
        said = self._object("GET", "/version", self._timeout)
        self._version = _spoken_version(str(said.get("ApiVersion", "")), str(said.get("MinAPIVersion", "")))
        return said

    def get(self, *steps: str, **query: object) -> Any:
        """The JSON at a path whose parts are ``steps``. None when there is no such thing (404)."""
        return self._ask("GET", _path(steps, query), self._timeout, missing=True)

    def post(self, *steps: str, body: object = None, patience: float = 0.0, **query: object) -> Any:
        """Ask for a change; ``patience`` are seconds that it may take by itself. What it says, None when nothing.

        That it is so already (304) is fine.
        """
        return self._ask("POST", _path(steps, query), self._timeout + patience, body=body)

    def pull(self, image: str) -> None:
        """Fetch an image by a name with its digest or tag. Raises EngineRefused when the registry does not give it."""
        name, digest = _repository_and_version(image)
        target = _path(("images", "create"), {"fromImage": name, "tag": digest})
        with self._answer("POST", self._versioned(target), _PULL_PATIENCE) as answer:
            self._demand(answer, "POST /images/create")
            for line in _lines(answer):
                said = _decoded(line, "POST /images/create")
                if isinstance(said, dict) and said.get("error"):
                    raise EngineRefused(request="POST /images/create", status=answer.status, reason=said["error"])

    def _ask(self, method: str, target: str, timeout: float, *, body: object = None, missing: bool = False) -> Any:
        with self._answer(method, self._versioned(target), timeout, body) as answer:
            request = f"{method} {target.partition('?')[0]}"
            if answer.status == 304 or (missing and answer.status == 404):
                return None
            self._demand(answer, request)
            content = _content(answer, request)
        return _decoded(content, request) if content else None

    def _object(self, method: str, target: str, timeout: float) -> dict[str, Any]:
        with self._answer(method, target, timeout) as answer:
            self._demand(answer, f"{method} {target}")
            said = _decoded(_content(answer, f"{method} {target}"), f"{method} {target}")
        if not isinstance(said, dict):
            raise EngineSilent(request=f"{method} {target}", reason=N_("it is no object"))
        return said

    def _versioned(self, target: str) -> str:
        if self._version is None:
            self.version()
        return f"/v{self._version}{target}"

    @contextmanager
    def _answer(self, method: str, target: str, timeout: float, body: object = None) -> Iterator[HTTPResponse]:
        """Ask, and close the connection afterwards. Raises EngineUnreachable and EngineSilent."""
        connection = _SocketConnection(self.path, timeout)
        request = f"{method} {target.partition('?')[0]}"
        try:
            try:
                connection.connect()
            except OSError as error:
                raise EngineUnreachable(socket=self.path, reason=error.strerror or str(error)) from None
            content = None if body is None else json.dumps(body).encode()
            headers = {"Host": "docker"} | ({"Content-Type": "application/json"} if content is not None else {})
            connection.request(method, target, body=content, headers=headers)
            with connection.getresponse() as answer:
                yield answer
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise EngineSilent(request=request, reason=reason) from None
        finally:
            connection.close()

    def _demand(self, answer: HTTPResponse, request: str) -> None:
        """Go on with a good answer only."""
        if answer.status < 300:
            return
        content = answer.read(_LONGEST_LINE)
        try:
            said = json.loads(content)
            reason = str(said["message"])
        except (ValueError, KeyError, TypeError):
            reason = content[:200].decode(errors="replace").strip() or answer.reason
        raise EngineRefused(request=request, status=answer.status, reason=reason.rstrip("."))


def _spoken_version(newest: str, oldest: str) -> str:
    """The version to speak: the preferred one, within what the engine offers."""
    spoken = min(_PREFERRED, _numbers(newest) or _PREFERRED)
    return "{}.{}".format(*max(spoken, _numbers(oldest) or spoken))


def _numbers(version: str) -> tuple[int, int] | None:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _path(steps: tuple[str, ...], query: Mapping[str, object]) -> str:
    path = "".join("/" + quote(step, safe="/:@" if step and steps[0] == "images" else "") for step in steps)
    words = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in query.items()}
    return f"{path}?{urlencode(words)}" if words else path


def _repository_and_version(image: str) -> tuple[str, str]:
    """``name@sha256:…`` or ``name:tag`` in two; the tag ``latest`` where there is none."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, "latest")


def _content(answer: HTTPResponse, request: str) -> bytes:
    content = answer.read(_MOST + 1)
    if len(content) > _MOST:
        raise EngineSilent(request=request, reason=Phrase(N_("it has more than {most}"), most=ByteCount(_MOST)))
    return content


def _lines(answer: HTTPResponse) -> Iterator[bytes]:
    while line := answer.readline(_LONGEST_LINE):
        if line.strip():
            yield line


def _decoded(content: bytes, request: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise EngineSilent(request=request, reason=str(error)) from None
