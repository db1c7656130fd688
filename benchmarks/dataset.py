"""Builds the data set that the benchmarks back up: the folder of a real application stack.

Run `python benchmarks/dataset.py [FOLDER]`. It needs npm, pip, git and a connection to their registries, takes
some minutes, and writes a stamp file beside the data (never inside it) when everything is complete; a folder
whose stamp matches is reused as it is.

What is inside:

- `services/storefront`, `services/admin`, `services/api`: npm trees with overlapping dependencies;
- `services/analytics`: a pip tree with its compiled modules and byte code;
- `vendor.git-work`: a git work tree with real history, packs and loose objects;
- `database/dump.sql`: a text dump of plausible rows, seeded;
- `media`: incompressible files of the sizes that photographs and videos have, seeded.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1
"""Raised whenever the recipe changes, so that a folder of an older recipe is built anew."""

DEFAULT_FOLDER = Path(__file__).resolve().parent / ".data"
MINIMUM_FILES = 100_000
MINIMUM_BYTES = 1_500_000_000
MAXIMUM_BYTES = 2_050_000_000

STOREFRONT = {
    "next": "^14.2.0", "react": "^18.3.0", "react-dom": "^18.3.0", "@mui/material": "^5.16.0",
    "@emotion/react": "^11.13.0", "@emotion/styled": "^11.13.0", "date-fns": "^2.30.0", "lodash": "^4.17.21",
    "rxjs": "^7.8.0", "three": "^0.160.0", "typescript": "^5.4.0", "eslint": "^8.57.0", "jest": "^29.7.0",
    "@babel/preset-env": "^7.24.0",
}  # fmt: skip
ADMIN = {
    "react": "^17.0.0", "react-dom": "^17.0.0", "@material-ui/core": "^4.12.0", "@material-ui/icons": "^4.11.0",
    "antd": "^4.24.0", "webpack": "^5.91.0", "webpack-cli": "^5.1.0", "webpack-dev-server": "^4.15.0",
    "@babel/core": "^7.24.0", "@babel/preset-env": "^7.24.0", "@babel/preset-react": "^7.24.0", "typescript": "^5.4.0",
    "eslint": "^8.57.0", "jest": "^29.7.0", "lodash": "^4.17.21", "moment": "^2.30.0", "date-fns": "^2.30.0",
    "core-js": "^3.37.0", "rxjs": "^7.8.0",
}  # fmt: skip
API = {
    "express": "^4.19.0", "aws-sdk": "^2.1600.0", "@aws-sdk/client-s3": "^3.570.0", "@nestjs/core": "^10.3.0",
    "@nestjs/common": "^10.3.0", "typeorm": "^0.3.20", "pg": "^8.11.0", "ioredis": "^5.4.0", "mongoose": "^8.3.0",
    "typescript": "^5.4.0", "eslint": "^8.57.0", "jest": "^29.7.0", "ts-jest": "^29.1.0", "lodash": "^4.17.21",
    "rxjs": "^7.8.0", "winston": "^3.13.0", "@babel/core": "^7.24.0",
}  # fmt: skip
NPM_SERVICES = {"storefront": STOREFRONT, "admin": ADMIN, "api": API}

PIP_PACKAGES = (
    "numpy<2.3", "scipy<1.16", "pandas<2.4", "django<5.3", "sqlalchemy<2.1", "boto3<1.40", "matplotlib<3.11",
    "sympy<1.15", "scikit-learn<1.8", "requests<3", "pillow<12", "networkx<3.6", "jinja2<4", "fastapi<0.120",
)  # fmt: skip

HISTORY = {
    "django": ("3.2", "3.2.10", "3.2.18", "4.0", "4.0.5", "4.1", "4.1.5", "4.2", "4.2.7", "4.2.16", "5.0", "5.1"),
    "sympy": ("1.9", "1.10.1", "1.11.1", "1.12", "1.13.3"),
    "jinja2": ("3.0.3", "3.1.2", "3.1.4"),
    "networkx": ("2.8.8", "3.1", "3.3"),
    "requests": ("2.28.2", "2.31.0", "2.32.3"),
}
"""Versions of pure Python packages whose trees become the commits of the git repository, in this order."""

LOOSE_COMMITS = 40
DUMP_BYTES = 320_000_000
PHOTOGRAPHS = 25
VIDEO_BYTES = 60_000_000


@dataclass(frozen=True)
class Facts:
    """What a complete data set holds; kept in the stamp."""

    recipe: int
    files: int
    directories: int
    symbolic_links: int
    content_bytes: int
    largest_bytes: int
    under_4_kilobytes: int
    parts: dict[str, tuple[int, int]]
    """Files and bytes of each part, by its name."""

    def sentence(self) -> str:
        """The data set in one line, for the head of a table."""
        return (
            f"{self.files:,} files ({self.under_4_kilobytes:,} under 4 kB), {self.directories:,} directories, "
            f"{self.symbolic_links:,} symbolic links, {self.content_bytes / 1e9:.3f} GB"
        )


def stamp_path(folder: Path) -> Path:
    """The stamp stands beside the data, and is not part of it."""
    return folder / "stamp.json"


def data_path(folder: Path) -> Path:
    """The directory to back up."""
    return folder / "stack"


def read_facts(folder: Path) -> Facts | None:
    """The facts of a complete data set of this recipe, or None."""
    try:
        facts = Facts(**json.loads(stamp_path(folder).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return facts if facts.recipe == FORMAT else None


def ensure(folder: Path) -> Facts:
    """Builds the data set unless it is complete already; returns its facts.

    A part that is complete is kept, so a build that was interrupted goes on where it stopped.
    """
    if (facts := read_facts(folder)) is not None:
        return facts
    stack = data_path(folder)
    stack.mkdir(parents=True, exist_ok=True)
    for name, dependencies in NPM_SERVICES.items():
        part(stack / "services" / name, lambda where, d=dependencies, n=name: npm_tree(where, n, d))
    part(stack / "services" / "analytics", pip_tree)
    part(stack / "vendor.git-work", git_history)
    part(stack / "database", sql_dump)
    part(stack / "media", media)
    facts = count(stack)
    check_size(facts)
    stamp_path(folder).write_text(json.dumps(asdict(facts), indent=2) + "\n")
    return facts


def part(target: Path, build) -> None:
    """Builds one part under another name and renames it when it is complete."""
    if target.exists():
        return
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    print(f"building {target.name} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    build(unfinished)
    unfinished.rename(target)
    print(f"  {target.name} took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def command(*words: str, cwd: Path | None = None, **environment: str) -> None:
    """Runs a program with its output kept away from the terminal; raises with its last words when it fails."""
    result = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if result.returncode:
        last = (result.stderr or result.stdout).decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(words[:3])} failed with {result.returncode}:\n{last}")


def npm_tree(where: Path, name: str, dependencies: dict[str, str]) -> None:
    """An npm project with everything installed, as it lies on a server."""
    manifest = {"name": name, "version": "1.0.0", "private": True, "dependencies": dependencies}
    (where / "package.json").write_text(json.dumps(manifest, indent=2) + "\n")
    command(
        "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--legacy-peer-deps",
        "--prefer-offline", "--loglevel=error", cwd=where,
    )  # fmt: skip


def pip_tree(where: Path) -> None:
    """A folder of installed wheels with their byte code."""
    command(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
        "--target", str(where / "site-packages"), *PIP_PACKAGES,
    )  # fmt: skip


def git_history(where: Path) -> None:
    """A git work tree: every version of every package of HISTORY is a commit, then gc, then some loose commits."""
    moment = 1_600_000_000
    command("git", "init", "--quiet", "--initial-branch=main", cwd=where)
    with tempfile.TemporaryDirectory(prefix="benchmark-wheels-") as scratch:
        for package, versions in HISTORY.items():
            for version in versions:
                wheel = download_wheel(package, version, Path(scratch))
                shutil.rmtree(where / package, ignore_errors=True)
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(where / package)
                wheel.unlink()
                moment += 86_400
                commit(where, f"Update {package} to {version}", moment)
    command("git", "gc", "--quiet", cwd=where)
    generator = random.Random(7)
    sources = sorted(path for path in where.glob("django/django/**/*.py") if path.stat().st_size > 2000)
    for number in range(LOOSE_COMMITS):
        for path in generator.sample(sources, 5):
            path.write_text(path.read_text() + f"\n# Reviewed in round {number}.\n")
        moment += 3_600
        commit(where, f"Review round {number}", moment)


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """One wheel through pip."""
    command(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--dest", str(folder), f"{package}=={version}",
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def commit(where: Path, message: str, moment: int) -> None:
    """Commits everything with a fixed author and date; no automatic gc, so loose objects stay loose."""
    date = f"{moment} +0000"
    command("git", "add", "--all", "--force", ".", cwd=where)
    command(
        "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "gc.auto=0", "-c",
        "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "-m", message, cwd=where,
        GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date,
    )  # fmt: skip


def sql_dump(where: Path) -> None:
    """A dump as pg_dump writes it: a schema, then COPY blocks of seeded rows."""
    with (where / "dump.sql").open("wb") as out:
        out.write(b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n")
        out.write(b"CREATE TABLE public.orders (\n    id bigint NOT NULL,\n    customer_id uuid NOT NULL,\n")
        out.write(b"    email text,\n    amount numeric(10,2),\n    status text,\n    placed_at timestamptz,\n")
        out.write(b"    note text\n);\n\nCOPY public.orders (id, customer_id, email, amount, status, placed_at, note)")
        out.write(b" FROM stdin;\n")
        for chunk in sql_rows():
            if out.tell() >= DUMP_BYTES:
                break
            out.write(chunk)
        out.write(b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n")


def sql_rows() -> Iterator[bytes]:
    """Endless chunks of 20,000 rows each."""
    generator = random.Random(42)
    first = "anna ben carla david elif farid grace hugo ines jonas karim lena marta nils olga paul".split()
    last = "adler brandt costa duval engel fischer garcia hansen ivanov jensen keller lopez meyer".split()
    people = [f"{a}.{b}{n}@{d}" for a in first for b in last for n in range(20) for d in ("example.org", "mail.test")]
    words = "please leave the parcel at door ring twice gift wrapped deliver after noon call before invoice".split()
    notes = [" ".join(generator.choices(words, k=generator.randrange(2, 12))) for _ in range(5000)]
    states = ("paid", "shipped", "shipped", "delivered", "delivered", "delivered", "cancelled", "refunded")
    bits, pick = generator.getrandbits, generator.random
    identity, moment = 1, 1_500_000_000
    while True:
        rows = []
        for _ in range(20_000):
            value = bits(160)
            text = f"{value:040x}"
            moment += value & 31
            stamp = datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
            rows.append(
                f"{identity}\t{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[15:18]}-{text[18:30]}\t"
                f"{people[int(pick() * len(people))]}\t{value % 50_000 / 100:.2f}\t{states[value >> 8 & 7]}\t"
                f"{stamp}.{value >> 16 & 0xFFFFF}+00\t{notes[int(pick() * 5000)] if value & 64 else chr(92) + 'N'}\n"
            )
            identity += 1
        yield "".join(rows).encode()


def media(where: Path) -> None:
    """Photographs of 1 to 5 MB and one video: seeded random bytes, as compressed media look to a backup."""
    generator = random.Random(99)
    photographs = where / "photographs"
    photographs.mkdir()
    for number in range(PHOTOGRAPHS):
        size = generator.randrange(1_000_000, 5_000_000)
        (photographs / f"IMG_{number:04}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + generator.randbytes(size))
    with (where / "introduction.mp4").open("wb") as out:
        for _ in range(VIDEO_BYTES // 4_000_000):
            out.write(generator.randbytes(4_000_000))


def count(stack: Path) -> Facts:
    """Counts what is really there: regular files by directory entry, bytes by length."""
    files = directories = links = total = largest = small = 0
    parts: dict[str, tuple[int, int]] = {}
    for folder, folders, names in os.walk(stack):
        directories += 1
        links += sum(1 for name in folders if (Path(folder) / name).is_symlink())
        relative = Path(folder).relative_to(stack).parts
        key = "/".join(relative[:2] if relative[:1] == ("services",) else relative[:1])
        part_files, part_bytes = parts.get(key, (0, 0))
        for name in names:
            status = os.lstat(f"{folder}/{name}")
            if (status.st_mode & 0o170000) == 0o120000:
                links += 1
                continue
            files += 1
            part_files += 1
            part_bytes += status.st_size
            total += status.st_size
            small += status.st_size < 4096
            largest = max(largest, status.st_size)
        if part_files:
            parts[key] = (part_files, part_bytes)
    return Facts(FORMAT, files, directories, links, total, largest, small, parts)


def check_size(facts: Facts) -> None:
    """Refuses a data set that is not what the table promises."""
    print(json.dumps(asdict(facts), indent=2), file=sys.stderr)
    if facts.files < MINIMUM_FILES or not MINIMUM_BYTES <= facts.content_bytes <= MAXIMUM_BYTES:
        raise SystemExit(f"the data set is not of the promised size: {facts.sentence()}")


def main() -> None:
    """Builds the data set in the folder that was named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    folder = parser.parse_args().folder.resolve()
    facts = ensure(folder)
    print(f"{data_path(folder)}: {facts.sentence()}")
    for name, (files, size) in sorted(facts.parts.items()):
        print(f"  {name:<24} {files:>8,} files {size / 1e6:>9.1f} MB")


if __name__ == "__main__":
    main()
