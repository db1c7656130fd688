"""The translations in src/pivori/locale: takes the sentences out of the source and makes the catalogues from them.

    extract          print the template: every sentence of the program, untranslated
    update [LANG…]   bring LANG's pivori.po up to date; translations stay, sentences that are gone leave
    compile [LANG…]  make pivori.mo from pivori.po
    check [LANG…]    say what is missing or wrong; exit status 1 when there is anything

Without LANG, all catalogues there are. Needs babel, which ./test installs: .venv/bin/python scripts/catalogues.py check

Nothing written depends on the day, the folder or the machine: no dates, no line numbers, paths from src/pivori on.
Besides the program's own sentences a catalogue has those of click that a person may meet, and the usual answers of
the system: Python leaves these in English whatever the language.
"""

import argparse
import io
import re
import string
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pivori"
LOCALE = SOURCE / "locale"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
PLURALS = {"fr": "nplurals=2; plural=(n > 1);"}

CLICK: tuple[str | tuple[str, str], ...] = (
    "Usage:",
    "Options",
    "Positional arguments",
    "Commands",
    "default: {default}",
    "required",
    "deprecated",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Missing parameter",
    "Missing {param_type}",
    "Missing parameter: {param_name}",
    "No such option {name!r}.",
    "No such command {name!r}.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Takes {nargs} values but 1 was given.", "Takes {nargs} values but {len} were given."),
    "Argument {name!r} takes {nargs} values.",
    "Option {name!r} does not take a value.",
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "Choose from:\n\t{choices}",
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    (
        "{value!r} does not match the format {format}.",
        "{value!r} does not match the formats {formats}.",
    ),
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{value!r} is not a valid boolean. Recognized values: {states}",
    "file",
    "directory",
    "path",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is not readable.",
    "{name} {filename!r} is not writable.",
    "{name} {filename!r} is not executable.",
    "Could not open file {filename!r}: {message}",
    "unknown error",
    "Aborted!",
    "Shell completion is not supported for Bash versions older than 4.4.",
    "Couldn't detect Bash version, shell completion is not supported.",
)
"""What click may say to a person, as click writes it."""

SYSTEM = (
    "Argument list too long",
    "Bad file descriptor",
    "Broken pipe",
    "Cannot allocate memory",
    "Connection refused",
    "Connection reset by peer",
    "Connection timed out",
    "Device or resource busy",
    "Directory not empty",
    "Disk quota exceeded",
    "Exec format error",
    "File exists",
    "File name too long",
    "File too large",
    "Host is down",
    "Input/output error",
    "Interrupted system call",
    "Invalid argument",
    "Invalid cross-device link",
    "Is a directory",
    "Name or service not known",
    "Network is unreachable",
    "No data available",
    "No locks available",
    "No route to host",
    "No space left on device",
    "No such device",
    "No such device or address",
    "No such file or directory",
    "Not a directory",
    "Numerical result out of range",
    "Operation not permitted",
    "Operation not supported",
    "Permission denied",
    "Read-only file system",
    "Resource temporarily unavailable",
    "Stale file handle",
    "Structure needs cleaning",
    "Text file busy",
    "Too many levels of symbolic links",
    "Too many links",
    "Too many open files",
    "Too many open files in system",
    "Transport endpoint is not connected",
    "Value too large for defined data type",
)
"""The reasons a system most often gives for refusing a file, as glibc writes them."""


# click names the type of a number in English whatever the language, so a translation does without.
DISPENSABLE = frozenset({"number_type"})


class PlainCatalog(Catalog):
    """A catalogue whose header has nothing that differs from run to run."""

    def _headers(self) -> list[tuple[str, str]]:
        headers = [("Project-Id-Version", "pivori"), ("MIME-Version", "1.0")]
        headers += [("Content-Type", "text/plain; charset=UTF-8"), ("Content-Transfer-Encoding", "8bit")]
        if self.locale_identifier is None:
            return headers
        return [*headers, ("Language", self.locale_identifier), ("Plural-Forms", PLURALS[self.locale_identifier])]

    mime_headers = property(_headers, lambda self, _headers: None)


def catalogue_path(language: str) -> Path:
    """Where the translations into ``language`` are written."""
    return LOCALE / language / "LC_MESSAGES" / "pivori.po"


def known_languages() -> list[str]:
    """The languages that have a catalogue."""
    return sorted(path.parent.parent.name for path in LOCALE.glob("*/LC_MESSAGES/pivori.po"))


def empty_catalogue(language: str | None = None) -> Catalog:
    """A catalogue without sentences; without ``language``, a template."""
    heading = "The sentences of Pivori Backup." if language is None else f"Pivori Backup, language: {language}."
    return PlainCatalog(locale=language, header_comment=f"# {heading}", fuzzy=False, charset="utf-8")


def extract() -> Catalog:
    """Every sentence a person may see, untranslated, in the order of the files it is in."""
    found: dict[str | tuple[str, ...], set[str]] = {}
    rows = extract_from_dir(SOURCE, method_map=[("**.py", "python")], keywords=KEYWORDS, comment_tags=())
    for file, _line, sentence, _comments, _context in rows:
        found.setdefault(sentence, set()).add(file)
    for origin, sentences in (("click", CLICK), ("system", SYSTEM)):
        for sentence in sentences:
            found.setdefault(sentence, set()).add(origin)
    template = empty_catalogue()
    for sentence, files in sorted(found.items(), key=lambda item: (sorted(item[1]), str(item[0]))):
        template.add(sentence, locations=[(file, 0) for file in sorted(files)])
    return template


def read(language: str) -> Catalog:
    """The catalogue as it is written."""
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language)


def merged(language: str, template: Catalog) -> Catalog:
    """The template with the translations there are."""
    written = read(language)
    result = empty_catalogue(language)
    for message in sentences_of(template):
        known = written.get(message.id)
        result.add(
            message.id,
            string=known.string if known else None,
            locations=message.locations,
            flags=known.flags if known else (),
            user_comments=known.user_comments if known else (),
        )
    return result


def sentences_of(catalogue: Catalog) -> Iterator[Message]:
    """The sentences, without the header."""
    return (message for message in catalogue if message.id)


def po_text(catalogue: Catalog) -> bytes:
    """The catalogue as text."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=120, include_lineno=False, ignore_obsolete=True)
    return buffer.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue as the program reads it."""
    plain = empty_catalogue(str(catalogue.locale))
    for message in sentences_of(catalogue):
        plain.add(message.id, string=message.string, flags=message.flags)
    buffer = io.BytesIO()
    write_mo(buffer, plain)
    return buffer.getvalue()


def fields(template: str) -> frozenset[str]:
    """The names in braces."""
    try:
        return frozenset(name for _text, name, _format, _conversion in string.Formatter().parse(template) if name)
    except ValueError:
        return frozenset()


def problems(language: str, template: Catalog) -> Iterator[str]:
    """What is missing or wrong in the catalogue of a language, one line each."""
    written = read(language)
    for message in sentences_of(template):
        known = written.get(message.id)
        shown = message.id if isinstance(message.id, str) else message.id[0]
        if known is None:
            yield f"missing: {shown!r} ({', '.join(file for file, _line in message.locations)})"
            continue
        yield from (f"{problem}: {shown!r}" for problem in _wrong_in(known))
    yield from (
        f"no longer in the source: {message.id!r}"
        for message in sentences_of(written)
        if template.get(message.id) is None
    )
    binary = catalogue_path(language).with_suffix(".mo")
    if not binary.exists() or binary.read_bytes() != compiled(written):
        yield f"{binary.name} is not what pivori.po compiles to"


def _wrong_in(message: Message) -> Iterator[str]:
    """What is wrong with one translation."""
    originals = [message.id] if isinstance(message.id, str) else list(message.id)
    translations = [message.string] if isinstance(message.string, str) else list(message.string)
    if message.fuzzy:
        yield "fuzzy"
    if len(translations) != len(originals) or not all(translations):
        yield "not translated"
        return
    for original, translation in zip(originals, translations, strict=True):
        if fields(original) - DISPENSABLE != fields(translation) - DISPENSABLE:
            yield f"has the fields {sorted(fields(translation))} instead of {sorted(fields(original))}"
        if _options(original) != _options(translation):
            yield f"has the options {sorted(_options(translation))} instead of {sorted(_options(original))}"
        if (original[-1:] == "\n") != (translation[-1:] == "\n") or (original[-1] == ".") != (translation[-1] == "."):
            yield "ends in another way"


def _options(text: str) -> set[str]:
    """The options that a text names: they are the same in every language."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def update(languages: Iterable[str]) -> None:
    """Write the .po of each language."""
    template = extract()
    for language in languages:
        catalogue_path(language).write_bytes(po_text(merged(language, template)))


def compile_all(languages: Iterable[str]) -> None:
    """Write the .mo of each language."""
    for language in languages:
        catalogue_path(language).with_suffix(".mo").write_bytes(compiled(read(language)))


def check(languages: Iterable[str]) -> int:
    """Print what is wrong; returns how much."""
    template = extract()
    count = 0
    for language in languages:
        for problem in problems(language, template):
            print(f"{language}: {problem}")
            count += 1
    return count


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("extract", "update", "compile", "check"))
    parser.add_argument("languages", nargs="*", metavar="LANG")
    arguments = parser.parse_args()
    languages = arguments.languages or known_languages()
    if arguments.task == "extract":
        sys.stdout.buffer.write(po_text(extract()))
    elif arguments.task == "update":
        update(languages)
    elif arguments.task == "compile":
        compile_all(languages)
    else:
        return 1 if check(languages) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
