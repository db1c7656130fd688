"""Reading dumps in pieces of any size."""

import pytest

from pivori.components.mysql.scanning import DumpScanner, part_of

DUMP = b"""-- head
/*!40101 SET NAMES utf8mb4 */;
-- CHANGE MASTER TO MASTER_LOG_FILE='log.000001', MASTER_LOG_POS=1845;

--
-- Current Database: `a`
--

USE `a`;
CREATE TABLE `odd
USE ``b``;
x` (
  `a` int
);
INSERT INTO `odd
USE ``b``;
x` VALUES
(1,';\\nUSE `b`;\\n(2)'),
(2,'');
INSERT INTO `odd
USE ``b``;
x` VALUES
(3,'');
CREATE TABLE `made` (
  `a` int
);
INSERT INTO `made` (`a`, `b`) VALUES
(1,2);
CREATE TABLE `empty` (
  `a` int
);

USE `b`;
CREATE TABLE `one` (
  `a` int
);
INSERT INTO `one` VALUES (1),(2);
-- SET GLOBAL gtid_slave_pos='0-7-10';
-- Dump completed
"""


def pieces(size: int) -> list[bytes]:
    return [DUMP[start : start + size] for start in range(0, len(DUMP), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_tables_and_rows_are_counted(size: int) -> None:
    scanner = DumpScanner()
    for piece in pieces(size):
        scanner.feed(piece)
    assert scanner.tables == {
        "a": {"odd\nUSE `b`;\nx": 3, "made": 1, "empty": 0},
        "b": {"one": None},
    }
    assert scanner.is_whole
    assert scanner.position == {"binlog": "log.000001:1845", "gtid": "0-7-10"}
    assert scanner.size == len(DUMP)


def test_half_a_dump_is_not_whole() -> None:
    scanner = DumpScanner()
    scanner.feed(DUMP[:-20])
    assert not scanner.is_whole


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_the_part_of_a_database_has_the_head_and_nothing_of_others(size: int) -> None:
    head, rest = DUMP.split(b"USE `a`;")
    first, second = rest.split(b"\nUSE `b`;\n")
    assert b"".join(part_of(pieces(size), "a", "a")) == head + b"USE `a`;" + first + b"\n"
    assert b"".join(part_of(pieces(size), "b", "x`y")) == head + b"USE `x``y`;\n" + second


def test_memory_is_bounded_while_rows_pass() -> None:
    scanner = DumpScanner()
    scanner.feed(b"USE `a`;\nCREATE TABLE `t` (\n);\nINSERT INTO `t` VALUES\n")
    for _ in range(100):
        scanner.feed(b"('" + b"x" * 100_000 + b"'),\n")
        assert len(scanner._buffer) < 10
    scanner.feed(b"(1);\n")
    assert scanner.tables == {"a": {"t": 101}}
