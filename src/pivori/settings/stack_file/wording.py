"""What pydantic finds, in plain words, with the place in the file."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from pivori.settings.stack_file.clear_secrets import IN_A_KEY
from pivori.settings.stack_file.described import is_there, item_of, keys_at, kinds
from pivori.settings.stack_file.lines import Path
from pivori.settings.stack_file.mistakes import Found, nearest
from pivori.translation import N_, Phrase, as_it_is

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": N_("this has to be there"),
    "extra_forbidden": N_("there is no such key"),
    "string_type": N_("this has to be a text, in quotation marks"),
    "int_type": N_("this has to be a whole number"),
    "int_parsing": N_("this has to be a whole number"),
    "int_from_float": N_("this has to be a whole number"),
    "float_type": N_("this has to be a number"),
    "float_parsing": N_("this has to be a number"),
    "finite_number": N_("this has to be a number that is not infinite"),
    "bool_type": N_("this has to be true or false"),
    "bool_parsing": N_("this has to be true or false"),
    "list_type": N_("this has to be a list: [ … ]"),
    "tuple_type": N_("this has to be a list: [ … ]"),
    "dict_type": N_("this has to be a table: {{ … }}"),
    "model_type": N_("this has to be a table: {{ … }}"),
    "model_attributes_type": N_("this has to be a table: {{ … }}"),
    "path_type": N_("this has to be a path, in quotation marks"),
    "literal_error": N_("this has to be one of: {expected}"),
    "enum": N_("this has to be one of: {expected}"),
    "string_pattern_mismatch": N_("this text has not the form it needs: {pattern}"),
    "string_too_short": N_("this text is too short: it needs {min_length} characters"),
    "string_too_long": N_("this text is too long: {max_length} characters at most"),
    "too_short": N_("this needs {min_length} items at least"),
    "too_long": N_("this may have {max_length} items at most"),
    "greater_than": N_("this has to be more than {gt}"),
    "greater_than_equal": N_("this has to be {ge} at least"),
    "less_than": N_("this has to be less than {lt}"),
    "less_than_equal": N_("this may be {le} at most"),
    "union_tag_not_found": N_("the component says no kind; there are: {kinds}"),
    "union_tag_invalid": N_("there is no kind of component “{tag}”; there are: {kinds}"),
}
_OTHERWISE: Final = N_("this value is not possible here")
_LONGEST_SHOWN: Final = 40
_PLACE_OF_KIND: Final = 2
"""Where pydantic names the kind of a component: ``components``, number, kind, key."""


def understood(errors: Sequence[ErrorDetails], data: Mapping[str, Any]) -> Sequence[Found]:
    """The mistakes that pydantic found. Of several at one key, as a choice of types makes them, the first is told."""
    found: dict[Path, Found] = {}
    for error in errors:
        mistake = _understood(error, data)
        found.setdefault(mistake.path, mistake)
    return list(found.values())


def _understood(error: ErrorDetails, data: Mapping[str, Any]) -> Found:
    kind, context = error["type"], dict(error.get("ctx", {}))
    path = _path_in_file(error["loc"], data, is_missing=kind == "missing")
    if kind == "extra_forbidden":
        return Found(path, Phrase(_SENTENCES[kind]), nearest(str(path[-1]), keys_at(path[:-1], data)))
    if kind.startswith("union_tag"):
        tag = str(context.get("tag", ""))
        details = {"tag": tag[:_LONGEST_SHOWN], "kinds": ", ".join(kinds())}
        return Found((*path, "kind"), Phrase(_SENTENCES[kind], **details), nearest(tag, kinds()))
    if kind == "model_type" and context.get("class_name") == "SecretReference" and isinstance(error["input"], str):
        return Found(path, Phrase(IN_A_KEY))
    if kind == "value_error":
        return Found(path, _own_words(context.get("error")))
    if kind in ("literal_error", "enum") and isinstance(error["input"], str):
        return Found(path, _worded(kind, context), nearest(error["input"], _choices(context)))
    return Found(path, _worded(kind, context))


def _worded(kind: str, context: Mapping[str, Any]) -> Phrase:
    sentence = _SENTENCES.get(kind, _OTHERWISE)
    if kind in ("literal_error", "enum"):
        return Phrase(sentence, expected=", ".join(_choices(context)))
    return Phrase(sentence, **context)


def _own_words(error: object) -> Phrase:
    """What a validator of ours says."""
    reason = error.args[0] if isinstance(error, ValueError) and error.args else _OTHERWISE
    return reason if isinstance(reason, Phrase) else as_it_is(str(reason))


def _choices(context: Mapping[str, Any]) -> Sequence[str]:
    """The words of a choice, which pydantic writes as ``'a', 'b' or 'c'``."""
    return str(context.get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")


def _path_in_file(location: Sequence[str | int], data: object, *, is_missing: bool) -> Path:
    """The keys that are in the file; pydantic also names the choices it has made on its way."""
    path: Path = ()
    for position, part in enumerate(location):
        is_kind = position == _PLACE_OF_KIND and path[:1] == ("components",)
        is_last = position == len(location) - 1
        if not is_kind and (is_there(data, part) or (is_missing and is_last)):
            data = item_of(data, part)
            path += (part,)
    return path
