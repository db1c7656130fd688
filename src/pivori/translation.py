"""The language a person reads: English is the source, a catalogue per language ships in ``locale/``.

Kernel code marks a sentence with :func:`N_` where it is written and never translates it; the edge of the program
(``cli``) translates with :func:`_` and :func:`ngettext` where it is shown. So an error or an event keeps its
English template and its details apart until somebody reads it.
"""

import gettext
from collections.abc import Mapping
from pathlib import Path

DOMAIN = "pivori"
LOCALE_DIRECTORY = Path(__file__).parent / "locale"

_active: gettext.NullTranslations = gettext.NullTranslations()


def N_(sentence: str) -> str:  # noqa: N802 - the name gettext's extractors look for
    """Mark a sentence for translation without translating it here."""
    return sentence


def _(sentence: str) -> str:
    """The sentence in the language selected by :func:`select`."""
    return _active.gettext(sentence)


def ngettext(singular: str, plural: str, count: int) -> str:
    """The form of a sentence that fits ``count``, in the selected language."""
    return _active.ngettext(singular, plural, count)


def filled(template: str, details: Mapping[str, object]) -> str:
    """``template`` with its fields filled in. A reason that is a whole sentence lends its full stop to the template's.

    Raises KeyError when a value is missing.
    """
    if "{reason}." in template:
        details = {**details, "reason": str(details["reason"]).rstrip(".")}
    return template.format(**details)


class ByteCount(int):
    """A number of bytes; people read it as ``1.5 GiB``, programs as the number, in an English sentence ``7 bytes``."""

    __slots__ = ()

    def __format__(self, specification: str) -> str:
        return super().__format__(specification) if specification else f"{int(self)} bytes"


class Phrase(str):
    """A part of a sentence with values in it: English text that keeps its template, so that it can be translated.

    ``Phrase(N_("it has {size} bytes"), size=7)`` is the text ``it has 7 bytes`` to everybody; the edge of the program
    translates ``template`` and fills in ``details``. It crosses process boundaries whole.
    """

    __slots__ = ("details", "template")
    template: str
    details: dict[str, object]

    def __new__(cls, template: str, /, **details: object) -> "Phrase":
        """Fill the template. Raises KeyError when a value is missing."""
        phrase = super().__new__(cls, filled(template, details))
        phrase.template = template
        phrase.details = details
        return phrase

    def __str__(self) -> str:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _phrase, (self.template, self.details)


_AS_IT_IS = "{reason}"


def as_it_is(text: str) -> Phrase:
    """What the system or another program said, as a phrase: shown as it is, or as the catalogue has it."""
    return Phrase(_AS_IT_IS, reason=text)


def _phrase(template: str, details: dict[str, object]) -> Phrase:
    """Unpickle a phrase."""
    return Phrase(template, **details)


def duration_phrase(seconds: float) -> Phrase:
    """A duration in its two largest units, in whole seconds: ``42 s``, ``3 min 12 s``, ``5 h 02 min``, ``3 d 4 h``."""
    rounded = max(round(seconds), 0)
    if rounded < 60:
        return Phrase(N_("{number} s"), number=rounded)
    if rounded < 3600:
        return Phrase(N_("{minutes} min {seconds:02d} s"), minutes=rounded // 60, seconds=rounded % 60)
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return Phrase(N_("{hours} h {minutes:02d} min"), hours=minutes // 60, minutes=minutes % 60)
    hours = round(seconds / 3600)
    return Phrase(N_("{days} d {hours} h"), days=hours // 24, hours=hours % 24)


def select(languages: list[str]) -> None:
    """Select the first of ``languages`` (``fr_FR.UTF-8``, ``fr``, …) that has a catalogue; English when none has.

    Libraries that call the standard library's global ``gettext`` (click does) are given the same catalogue.
    """
    global _active
    _active = gettext.translation(DOMAIN, LOCALE_DIRECTORY, languages=languages or ["C"], fallback=True)
    gettext.gettext = _active.gettext
    gettext.ngettext = _active.ngettext
