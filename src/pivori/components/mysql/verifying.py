"""Checking a capture without a server."""

from pivori.components.base import Finding, Gravity, Source, failure_of
from pivori.components.mysql.dumping import DATA, DATABASES, USERS, digest_of
from pivori.components.mysql.filling import Captured
from pivori.components.mysql.scanning import DumpScanner
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase


def verify(source: Source) -> list[Finding]:
    """What is wrong with the files of a capture."""
    captured = Captured.of(source.report)
    findings: list[Finding] = []
    for path, facts in captured.files.items():
        scanner = DumpScanner()
        try:
            digest = digest_of(source.pieces(path), scanner)
        except PivoriError as error:
            findings.append(failure_of(error))
            continue
        if digest != facts["sha256"]:
            findings.append(_failure(Phrase(N_("The file {file} is not what was captured."), file=path)))
        elif path not in (DATABASES, USERS) and not scanner.is_whole:
            findings.append(_failure(Phrase(N_("The end of the dump {file} is missing."), file=path)))
        elif path == DATA:
            findings += _tables(captured, scanner)
    return findings


def _tables(captured: Captured, scanner: DumpScanner) -> list[Finding]:
    """Whether the dump holds what was counted when it was taken."""
    found = {name: scanner.tables.get(name, {}) for name in captured.databases}
    return [
        _failure(Phrase(N_("The dump of the database {name} does not hold the tables it should."), name=name))
        for name, tables in captured.databases.items()
        if found[name] != dict(tables)
    ]


def _failure(message: Phrase) -> Finding:
    hint = Phrase(N_("Choose an earlier recovery point with --at."))
    return Finding(gravity=Gravity.FAILURE, message=message, hint=hint)
