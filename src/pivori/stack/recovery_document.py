"""``/RECOVERY.md`` of a recovery point: how to bring it back, in English and in French, for whoever finds it.

It has to be of use in ten years, without this program and without its configuration, to somebody who is in a hurry.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from pivori.stack.markdown import code, code_block, plain
from pivori.stack.model import Contacts
from pivori.stack.record import ComponentRecord, Outcome, RecoveryRecord
from pivori.stack.recovery_document_en import ENGLISH
from pivori.stack.recovery_document_fr import FRENCH
from pivori.stack.recovery_texts import RecoveryTexts

LANGUAGES: Final = (ENGLISH, FRENCH)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_REPOSITORY: Final = '-r "$REPOSITORY" --password-file "$PASSWORD_FILE"'
_SECONDS: Final = (86400, 3600, 60, 1)


def recovery_document(record: RecoveryRecord) -> bytes:
    """The document of a recovery point: the whole of it in each language, one after the other."""
    parts = ["\n\n".join(_Document(record, texts).paragraphs()) for texts in LANGUAGES]
    return ("\n\n---\n\n".join(parts) + "\n").encode("utf-8", errors="backslashreplace")


class _Document:
    """The document in one language."""

    def __init__(self, record: RecoveryRecord, texts: RecoveryTexts) -> None:
        self._record = record
        self._texts = texts

    def paragraphs(self) -> Iterator[str]:
        record, texts = self._record, self._texts
        stack = code(record.stack)
        yield f"# {texts.title.format(stack=stack)}"
        yield f"*{texts.other_language}*"
        yield texts.introduction.format(stack=stack, host=code(record.host), moment=_moment(record.ended))
        yield from self._missing()
        yield from self._contacts(record.contacts)
        yield from self._needed()
        yield from self._with_program()
        yield from self._by_hand()
        yield from self._content()

    def _missing(self) -> Iterator[str]:
        failed = [record for record in self._record.components if record.outcome is Outcome.FAILED]
        if not failed:
            return
        texts = self._texts
        yield f"## {texts.missing_title}"
        yield texts.missing
        yield _items(
            texts.missing_item.format(component=code(record.name), reason=plain(record.error)) for record in failed
        )

    def _contacts(self, contacts: Contacts) -> Iterator[str]:
        texts = self._texts
        yield f"## {texts.contacts_title}"
        known = ((texts.email, contacts.email), (texts.chat, contacts.chat), (texts.issues, contacts.issues))
        lines = [text.format(value=code(value)) for text, value in known if value]
        if not lines:
            yield texts.no_contacts
            return
        yield texts.contacts
        yield _items(lines)

    def _needed(self) -> Iterator[str]:
        texts, record = self._texts, self._record
        yield f"## {texts.needed_title}"
        has_secrets = any(component.kind == "secrets" for component in record.components)
        size = sum(component.size for component in record.components)
        yield _items(
            [
                texts.needed,
                texts.needed_key,
                *([texts.needed_secrets] if has_secrets else []),
                texts.needed_room.format(size=self._size(size)),
            ]
        )

    def _with_program(self) -> Iterator[str]:
        texts, record = self._texts, self._record
        yield f"## {texts.program_title}"
        yield texts.program
        yield texts.program_point
        recover = f"pivori recover {_REPOSITORY} --stack {shlex.quote(record.stack)}"
        component = shlex.quote(next((each.name for each in record.components), "NAME"))
        yield code_block(
            [
                *self._variables(),
                f'{recover} --to "$PLACE" --dry-run  # {texts.program_dry_run}',
                f'{recover} --to "$PLACE"  # {texts.program_beside}',
                f"{recover} --in-place  # {texts.program_in_place}",
                f'{recover} --to "$PLACE" --component {component}  # {texts.program_one}',
                f'{recover} --to "$PLACE" --at {shlex.quote(record.ended)}  # {texts.program_moment}',
            ]
        )

    def _variables(self) -> list[str]:
        comments = self._texts.comments
        return [
            f"REPOSITORY=…  # {comments['repository']}",
            f"PASSWORD_FILE=…  # {comments['password']}",
            f"PLACE=…  # {comments['place']}",
        ]

    # By hand

    def _by_hand(self) -> Iterator[str]:
        texts, record = self._texts, self._record
        restic = f"restic {_REPOSITORY}"
        yield f"## {texts.by_hand_title}"
        yield texts.by_hand
        yield texts.find_point.format(moment=_moment(record.started))
        yield code_block(
            [
                *self._variables(),
                f"{restic} snapshots --tag {shlex.quote(f'stack={record.stack}')}",
                f"SNAPSHOT=…  # {texts.comments['snapshot']}",
            ]
        )
        yield texts.bring_files
        yield code_block([f'{restic} restore "$SNAPSHOT" --target "$PLACE"'])
        yield texts.by_hand_order
        yield texts.by_hand_variables
        for number, name in enumerate(self._order(), 1):
            yield from self._component(number, name)

    def _order(self) -> list[str]:
        """The components as they are brought back; those that nobody put in order come last."""
        record = self._record
        return list(dict.fromkeys(chain(record.order, (component.name for component in record.components))))

    def _component(self, number: int, name: str) -> Iterator[str]:
        texts = self._texts
        component = self._record.component(name)
        kind = texts.kinds.get(component.kind, plain(component.kind)) if component is not None else "–"
        yield f"### {texts.component_title.format(number=number, component=code(name), kind=kind)}"
        tag = shlex.quote(f"component={name}")
        command = code(f"restic {_REPOSITORY} snapshots --tag {tag}")
        if component is None:
            yield texts.component_not_asked.format(command=command)
            return
        if component.outcome is Outcome.FAILED:
            yield texts.component_failed.format(reason=plain(component.error), command=command)
            return
        yield _items(self._facts(component))
        if not component.manual:
            yield texts.component_no_commands
            return
        yield texts.component_commands
        yield code_block([f'cd "$PLACE"/{shlex.quote(name)}', *component.manual])

    def _facts(self, component: ComponentRecord) -> Iterator[str]:
        texts = self._texts
        yield texts.moment.format(start=_moment(component.started), end=_moment(component.ended))
        yield texts.size.format(size=self._size(component.size), files=component.file_count)
        report = component.report
        if report is not None:
            yield texts.consistency.format(words=texts.consistencies[report.consistency])
            if report.replay_from:
                since, until = _moment(report.replay_from), _moment(component.ended)
                yield texts.replayable.format(since=since, until=until)
            named: Sequence[tuple[str, Mapping[str, object]]] = (
                (texts.versions, report.versions),
                (texts.position, report.position),
                (texts.counts, report.counts),
                (texts.statuses, report.statuses),
            )
            yield from (text.format(items=_named(values)) for text, values in named if values)
        objectives = ((texts.time_objective, component.rto), (texts.loss_objective, component.rpo))
        yield from (text.format(duration=self._duration(of)) for text, of in objectives if of is not None)
        yield from (texts.warning.format(text=plain(warning)) for warning in component.warnings)

    def _content(self) -> Iterator[str]:
        texts, record = self._texts, self._record
        yield f"## {texts.content_title}"
        yield _items([texts.content_components, texts.content_record, texts.content_configuration])
        strategy = plain(record.strategy) if record.strategy else texts.no_strategy
        yield texts.origin.format(program=plain(record.program), root=code(record.root), strategy=strategy)

    # Words

    def _size(self, count: int) -> str:
        units = self._texts.byte_units
        value, unit = float(count), 0
        while value >= 1024 and unit < len(units) - 1:
            value, unit = value / 1024, unit + 1
        shown = f"{value:.1f}".replace(".", self._texts.decimal_point) if unit else f"{count}"
        return f"{shown} {units[unit]}"

    def _duration(self, seconds: float) -> str:
        """``1 h 30 min``: whole seconds, units that are zero left out."""
        rest, parts = round(seconds), []
        for size, unit in zip(_SECONDS, self._texts.duration_units, strict=True):
            count, rest = divmod(rest, size)
            if count:
                parts.append(f"{count} {unit}")
        return " ".join(parts) or f"0 {self._texts.duration_units[-1]}"


def _moment(time: str) -> str:
    """``2026-11-28 08:00:02 +01:00``; what is no RFC 3339 stays what it is."""
    found = _TIME.fullmatch(time)
    if found is None:
        return plain(time)
    return f"{found[1]} {found[2]} {'UTC' if found[3] in ('Z', '+00:00') else found[3]}"


def _named(values: Mapping[str, object]) -> str:
    return ", ".join(f"{plain(str(name))} {code(str(value))}" for name, value in values.items())


def _items(lines: Iterator[str] | Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
