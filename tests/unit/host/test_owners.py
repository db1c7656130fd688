import grp
import os
import pwd

from pivori.host import group_name, user_name
from pivori.host.owners import group_number, user_number


def test_known_numbers_have_names_and_back() -> None:
    user, group = pwd.getpwuid(0), grp.getgrgid(0)
    assert user_name(0) == user.pw_name
    assert group_name(0) == group.gr_name
    assert user_number(user.pw_name) == 0
    assert group_number(group.gr_name) == 0


def test_unknown_ones_have_none() -> None:
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    free = next(number for number in range(3_000_000_000, 3_000_001_000) if number not in taken)
    for number in (free, -5, 1 << 70):
        assert user_name(number) == group_name(number) == ""
    assert user_number("no such user") is None
    assert group_number("no such group") is None
    assert user_number("nul\0") is None


def test_answers_are_kept() -> None:
    user_name.cache_clear()
    user_name(os.getuid())
    user_name(os.getuid())
    assert user_name.cache_info().hits == 1
