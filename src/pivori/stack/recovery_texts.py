"""What RECOVERY.md says, as one set of sentences for each language.

They stand beside each other and not in the catalogues: the document has all languages at once, whoever writes it, and
is read in ten years, on a machine that has neither this program nor its catalogues.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pivori.components.base import Consistency


@dataclass(frozen=True, kw_only=True)
class RecoveryTexts:
    """The sentences of one language. ``{…}`` are filled in; those of code and names come ready for Markdown."""

    title: str
    """{stack}"""
    other_language: str
    introduction: str
    """{stack} {host} {moment}"""

    missing_title: str
    missing: str
    missing_item: str
    """{component} {reason}"""

    contacts_title: str
    contacts: str
    no_contacts: str
    email: str
    chat: str
    issues: str

    needed_title: str
    needed: str
    needed_key: str
    needed_secrets: str
    needed_room: str
    """{size}"""

    program_title: str
    program: str
    program_point: str
    program_beside: str
    program_in_place: str
    program_one: str
    program_moment: str
    program_dry_run: str

    by_hand_title: str
    by_hand: str
    find_point: str
    """{moment}"""
    bring_files: str
    by_hand_order: str
    by_hand_variables: str

    component_title: str
    """{number} {component} {kind}"""
    component_failed: str
    """{reason} {command}"""
    component_not_asked: str
    """{command}"""
    component_no_commands: str
    component_commands: str
    moment: str
    """{start} {end}"""
    consistency: str
    """{words}"""
    replayable: str
    """{since} {until}"""
    size: str
    """{size} {files}"""
    versions: str
    position: str
    counts: str
    statuses: str
    time_objective: str
    """{duration}"""
    loss_objective: str
    """{duration}"""
    warning: str
    """{text}"""

    content_title: str
    content_record: str
    content_configuration: str
    content_components: str
    origin: str
    """{program} {root} {strategy}"""
    no_strategy: str

    kinds: Mapping[str, str]
    consistencies: Mapping[Consistency, str]
    byte_units: tuple[str, ...]
    """From bytes upwards, each 1024 of the one before."""
    decimal_point: str
    duration_units: tuple[str, str, str, str]
    """Days, hours, minutes, seconds."""
    comments: Mapping[str, str]
    """What stands behind the commands, by their purpose."""
