"""A stand-in for the Docker engine: the requests that the compose component makes, over a Unix socket, with state.

What it cannot do is run anything: a container is a row in a table whose state changes as the engine's would. Faults are
planted by the method and the start of the path.
"""

import json
import re
import shutil
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"


@dataclass
class Fault:
    """What happens to requests that begin so. ``times`` counts down; None is for ever."""

    method: str
    path: str
    kind: str
    """``error``, ``die`` (the connection ends in the middle of the answer), ``hang``, ``garbage``."""
    times: int | None = None
    after: bool = False
    """Do what was asked for, then fail."""


@dataclass
class Box:
    """A container."""

    id: str
    service: str
    project: str
    image: str
    state: str = "running"
    health: str = ""
    exit_code: int = 0
    becomes_healthy_after: int = 0
    mounts: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


class Docker:
    """The engine's state, and the journal of what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.containers: dict[str, Box] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.registry: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.journal: list[str] = []
        self.paths: list[str] = []
        self.about: dict[str, Any] = {"ApiVersion": "1.48", "MinAPIVersion": "1.24"}
        self.on_change: Any = None
        self.on_look: Any = None
        self.lock = threading.RLock()
        self.released = threading.Event()

    def add(self, service: str, *, project: str = "shop", **facts: Any) -> Box:
        image = facts.pop("image", f"{service}:1")
        box = Box(
            id=f"{len(self.containers):02d}{service}".ljust(12, "0"),
            service=service,
            project=project,
            image=image,
            **facts,
        )
        self.containers[box.id] = box
        self.add_image(image)
        return box

    def add_image(self, name: str) -> dict[str, Any]:
        digest = f"sha256:{abs(hash_of(name)):064x}"
        repository = name.rpartition(":")[0] or name
        image = {"Id": digest, "RepoTags": [name], "RepoDigests": [f"{repository}@{digest}"]}
        self.images[digest] = image
        self.registry[f"{repository}@{digest}"] = image
        return image

    def add_volume(self, name: str, *, driver: str = "local", **facts: Any) -> Path:
        place = self.folder / "volumes" / name / "_data"
        place.mkdir(parents=True, exist_ok=True)
        self.volumes[name] = {"Name": name, "Driver": driver, "Mountpoint": str(place), "Options": None} | facts
        return place

    def remove_volume(self, name: str) -> None:
        del self.volumes[name]
        shutil.rmtree(self.folder / "volumes" / name)

    def find_image(self, name: str) -> dict[str, Any] | None:
        name = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        for image in self.images.values():
            if name == image["Id"] or name in image["RepoTags"] or name in image["RepoDigests"]:
                return image
        return None

    def fault(self, method: str, path: str, kind: str, times: int | None = None, *, after: bool = False) -> None:
        self.faults.append(Fault(method, path, kind, times, after))

    def states(self) -> dict[str, str]:
        return {box.service: box.state for box in self.containers.values()}

    def changes(self) -> list[str]:
        """What was asked to change, without the noise of looking."""
        return [line for line in self.journal if line.startswith("POST")]


def hash_of(text: str) -> int:
    import hashlib

    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    docker: Docker

    def log_message(self, *_: Any) -> None:
        pass

    def address_string(self) -> str:
        return "socket"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.docker.lock:
            self.docker.paths.append(self.path)
            self.docker.journal.append(f"{self.command} {unquote(path)}")
            fault = self._fault(path)
        if fault is not None and not fault.after:
            self._fail(fault)
            return
        if self.docker.on_look is not None:
            self.docker.on_look(unquote(path))
        with self.docker.lock:
            status, said = self._answer(path, query, body)
        if self.docker.on_change is not None and self.command == "POST":
            self.docker.on_change(unquote(path))
        if fault is not None:
            self._fail(fault)
            return
        self._send(status, said)

    def _fault(self, path: str) -> Fault | None:
        for fault in self.docker.faults:
            if fault.method == self.command and unquote(path).startswith(fault.path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "error":
            self._send(500, {"message": "planted: no space left on device"})
        elif fault.kind == "garbage":
            self._raw(200, b"<html>not json</html>")
        elif fault.kind == "hang":
            self.docker.released.wait(20)
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"half": ')
            self.wfile.flush()
            self.close_connection = True

    def _send(self, status: int, said: Any) -> None:
        if status == 204 or status == 304:
            self.send_response(status)
            self.end_headers()
        elif isinstance(said, list) and said and said[0] == "stream":
            self.send_response(status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for item in said[1:]:
                line = json.dumps(item).encode() + b"\r\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._raw(status, json.dumps(said).encode())

    def _raw(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/version":
            return 200, {"Version": "99.0-standin", **self.docker.about}
        steps = [unquote(step) for step in path.strip("/").split("/")]
        kind = steps[0]
        if kind == "containers" and steps[1:] == ["json"]:
            return 200, [self._listed(box) for box in self.docker.containers.values() if query.get("all")]
        if kind == "containers":
            return self._container(steps[1], steps[2])
        if kind == "images":
            return self._image(path, query)
        return self._volume(steps, body)

    def _listed(self, box: Box) -> dict[str, Any]:
        labels = {PROJECT: box.project, SERVICE: box.service, **box.labels}
        image = self.docker.find_image(box.image) or {}
        return {
            "Id": box.id,
            "Names": [f"/{box.project}-{box.service}-1"],
            "Image": box.image,
            "ImageID": image.get("Id", ""),
            "State": box.state,
            "Labels": {name: text for name, text in labels.items() if text},
            "Mounts": box.mounts,
        }

    def _container(self, name: str, verb: str) -> tuple[int, Any]:
        box = self.docker.containers.get(name)
        if box is None:
            return 404, {"message": f"No such container: {name}"}
        if verb == "json":
            return 200, self._inspected(box)
        allowed = {"pause": ("running", "paused"), "unpause": ("paused", "running")}
        if verb in allowed:
            before, after = allowed[verb]
            if box.state != before:
                return 409, {"message": f"Container {name} is not {before}"}
            box.state = after
            return 204, None
        return self._start_or_stop(box, verb)

    def _start_or_stop(self, box: Box, verb: str) -> tuple[int, Any]:
        if verb == "stop":
            if box.state != "running":
                return 304, None
            box.state, box.exit_code = "exited", box.exit_code or 0
            return 204, None
        if box.state == "running":
            return 304, None
        box.state = "running"
        return 204, None

    def _inspected(self, box: Box) -> dict[str, Any]:
        state: dict[str, Any] = {"Status": box.state, "Paused": box.state == "paused", "ExitCode": box.exit_code}
        if box.health:
            if box.state == "running" and box.health == "starting":
                box.becomes_healthy_after -= 1
                if box.becomes_healthy_after < 0:
                    box.health = "healthy"
            state["Health"] = {"Status": box.health}
        return {"Id": box.id, "State": state, "Config": {"Env": ["PASSWORD=env-canary"]}}

    def _image(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path == "/images/create":
            wanted = (
                f"{query['fromImage']}@{query['tag']}"
                if ":" in query["tag"]
                else f"{query['fromImage']}:{query['tag']}"
            )
            image = self.docker.registry.get(wanted)
            if image is None:
                return 200, ["stream", {"status": "Pulling"}, {"error": "dial tcp: lookup registry: no such host"}]
            self.docker.images[image["Id"]] = dict(image, RepoTags=[])
            return 200, ["stream", {"status": "Pulling"}, {"status": "Downloaded"}]
        name, _, verb = unquote(path).removeprefix("/images/").rpartition("/")
        image = self.docker.find_image(name)
        if image is None:
            return 404, {"message": f"No such image: {name}"}
        if verb == "tag":
            image["RepoTags"] = [*image["RepoTags"], f"{query['repo']}:{query['tag']}"]
            return 201, None
        return 200, image

    def _volume(self, steps: list[str], body: Any) -> tuple[int, Any]:
        if self.command == "POST":
            if body["Name"] not in self.docker.volumes:
                self.docker.add_volume(body["Name"], Options=body["DriverOpts"] or None, Labels=body["Labels"])
            return 201, self.docker.volumes[body["Name"]]
        volume = self.docker.volumes.get(steps[1])
        return (200, volume) if volume else (404, {"message": f"get {steps[1]}: no such volume"})


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was interrupted has gone: nothing to tell. Anything else is a fault of the stand-in."""
        if not isinstance(sys.exception(), (BrokenPipeError, ConnectionResetError)):
            super().handle_error(request, client_address)


@contextmanager
def running_docker(folder: Path) -> Iterator[Docker]:
    """A stand-in that answers at a socket in ``folder`` until the context ends."""
    docker = Docker(folder)
    handler = type("BoundHandler", (Handler,), {"docker": docker})
    server = _Server(str(docker.socket), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield docker
    finally:
        docker.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
        docker.socket.unlink(missing_ok=True)
        time.sleep(0)
