"""The bytes of nodes and trees are restic's. The golden trees were written by restic 0.18 and 0.19."""

import os
import stat

import msgspec

from pivori.repository.tree import (
    EMPTY_TREE,
    NO_TIME,
    ExtendedAttribute,
    Node,
    assemble_tree,
    decode_tree,
    encode_node,
    link_target,
    node_from_stat,
    raw_name,
    references,
)

BLOB = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"
SUBTREE = "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8"
TIMES = (
    b'"mtime":"2026-11-23T01:13:17.33016649Z","atime":"2026-11-23T01:13:17.33016649Z",'
    b'"ctime":"2026-11-23T01:13:17.500040667Z","uid":0,"gid":1000,"user":"root","group":"users",'
)
GOLDEN = {
    "dev": b'{"name":"b","type":"dev","mode":67109284,' + TIMES + b'"inode":9977981,"device_id":65024,"links":1,'
    b'"device":1801,"content":null}',
    "chardev": b'{"name":"c","type":"chardev","mode":69206436,' + TIMES + b'"inode":9977980,"device_id":65024,'
    b'"links":1,"device":259,"content":null}',
    "dir": b'{"name":"d","type":"dir","mode":2147484141,' + TIMES + b'"inode":9977975,"device_id":65024,'
    b'"content":null,"subtree":"' + SUBTREE.encode() + b'"}',
    "empty": b'{"name":"empty","type":"file",' + TIMES + b'"inode":9977974,"device_id":65024,"links":1,'
    b'"extended_attributes":[{"name":"user.empty","value":""}],"content":[]}',
    "file": b'{"name":"f","type":"file","mode":8389101,' + TIMES + b'"inode":9977973,"device_id":65024,"size":3,'
    b'"links":2,"extended_attributes":[{"name":"user.a","value":"MQ=="},{"name":"user.b\\ufffd\\u003c","value":""}],'
    b'"content":["' + BLOB.encode() + b'"]}',
    "fifo": b'{"name":"fifo","type":"fifo","mode":33554852,' + TIMES + b'"inode":9977979,"device_id":65024,'
    b'"content":null}',
    "hostile": b'{"name":"q\\\\\\"b\\\\\\\\s\\\\nn\\\\xff\\\\u200b\\\\u2028'
    b'\\u003c\\u003e\\u0026\\\\x7f\\\\b\\\\f\\\\x01",'
    b'"type":"file","mode":420,' + TIMES + b'"inode":9977978,"device_id":65024,"size":3,"links":1,'
    b'"content":["' + BLOB.encode() + b'"]}',
    "symlink": b'{"name":"symbad","type":"symlink","mode":134218239,' + TIMES + b'"inode":9977977,"device_id":65024,'
    b'"links":1,"linktarget":"bad\\ufffdtar\\u003c\\u0026\\u003e\\b\\f\\u0001\x7f","linktarget_raw":'
    b'"YmFk/3RhcjwmPggMAX8=","content":null}',
    "unprintable": b'{"name":"\\\\u00a0","type":"file","mode":420,' + TIMES + b'"inode":9977988,"device_id":65024,'
    b'"size":3,"links":1,"content":["' + BLOB.encode() + b'"]}',
    "emoji": '{"name":"😀","type":"file","mode":420,'.encode() + TIMES + b'"inode":9977987,"device_id":65024,'
    b'"size":3,"links":1,"content":["' + BLOB.encode() + b'"]}',
}
GOLDEN_TREE = b'{"nodes":[' + b",".join(GOLDEN.values()) + b"]}\n"
MTIME = 1_795_396_397_330_166_490
CTIME = 1_795_396_397_500_040_667


def status(mode: int, inode: int, *, links: int = 1, size: int = 0, device: int = 0) -> os.stat_result:
    """What ``lstat`` gives."""
    return os.stat_result(
        (mode, inode, 65024, links, 0, 1000, size, 0, 0, 0),
        {"st_mtime_ns": MTIME, "st_ctime_ns": CTIME, "st_atime_ns": MTIME + 1, "st_rdev": device},
    )


def from_stat(name: bytes, result: os.stat_result, **details: object) -> bytes:
    """The bytes of the node in a tree of its own."""
    node = node_from_stat(name, result, user="root", group="users", **details)
    return assemble_tree([encode_node(node)])[len(b'{"nodes":[') : -len(b"]}\n")]


def test_devices_are_as_restic_writes_them() -> None:
    assert from_stat(b"b", status(stat.S_IFBLK | 0o644, 9977981, device=1801)) == GOLDEN["dev"]
    assert from_stat(b"c", status(stat.S_IFCHR | 0o644, 9977980, device=259)) == GOLDEN["chardev"]


def test_a_directory_is_as_restic_writes_it() -> None:
    result = status(stat.S_IFDIR | 0o755, 9977975, links=7, size=4096, device=9)
    assert from_stat(b"d", result, subtree=SUBTREE) == GOLDEN["dir"]


def test_a_fifo_is_as_restic_writes_it() -> None:
    assert from_stat(b"fifo", status(stat.S_IFIFO | 0o644, 9977979)) == GOLDEN["fifo"]


def test_files_are_as_restic_writes_them() -> None:
    empty = [ExtendedAttribute("user.empty", b"")]
    result = status(stat.S_IFREG, 9977974)
    assert from_stat(b"empty", result, content=[], extended_attributes=empty) == GOLDEN["empty"]
    attributes = [ExtendedAttribute("user.a", b"1"), ExtendedAttribute("user.b\udcff<", b"")]
    result = status(stat.S_IFREG | 0o4755, 9977973, links=2, size=3)
    assert from_stat(b"f", result, content=[BLOB], extended_attributes=attributes) == GOLDEN["file"]


def test_hostile_names_are_as_restic_writes_them() -> None:
    hostile = b'q"b\\s\nn\xff\xe2\x80\x8b\xe2\x80\xa8<>&\x7f\b\f\x01'
    for name, inode, key in (
        (hostile, 9977978, "hostile"),
        (b"\xc2\xa0", 9977988, "unprintable"),
        ("😀".encode(), 9977987, "emoji"),
    ):
        assert from_stat(name, status(stat.S_IFREG | 0o644, inode, size=3), content=[BLOB]) == GOLDEN[key]


def test_a_link_is_as_restic_writes_it() -> None:
    result = status(stat.S_IFLNK | 0o777, 9977977, size=14)
    assert from_stat(b"symbad", result, linktarget=b"bad\xfftar<&>\b\f\x01\x7f") == GOLDEN["symlink"]


def test_the_size_is_what_was_read() -> None:
    result = status(stat.S_IFREG | 0o644, 1, size=50_000)
    assert node_from_stat(b"f", result, user="", group="", content=[BLOB], size=3).size == 3
    assert node_from_stat(b"f", result, user="", group="", content=[], size=0).size == 0


def test_access_times_are_kept_on_request_only() -> None:
    result = status(stat.S_IFREG | 0o644, 1)
    node = node_from_stat(b"f", result, user="", group="", content=[])
    assert node.atime == node.mtime == "2026-11-23T01:13:17.33016649Z"
    node = node_from_stat(b"f", result, user="", group="", content=[], with_atime=True)
    assert node.atime == "2026-11-23T01:13:17.330166491Z"


def test_a_file_on_no_known_user_says_so_by_leaving_the_name_out() -> None:
    node = node_from_stat(b"f", status(stat.S_IFREG | 0o644, 1), user="", group="", content=[])
    assert b'"uid":0,"gid":1000,"inode":1' in encode_node(node)


def test_the_golden_tree_survives_decoding_and_encoding() -> None:
    """But for what stands for lost bytes in an attribute's name."""
    golden = GOLDEN_TREE.replace(b"user.b\\ufffd", b"user.b")
    nodes = decode_tree(golden)
    assert assemble_tree([encode_node(node) for node in nodes]) == golden
    assert raw_name(nodes[6]) == b'q"b\\s\nn\xff\xe2\x80\x8b\xe2\x80\xa8<>&\x7f\b\f\x01'
    assert link_target(nodes[7]) == b"bad\xfftar<&>\b\f\x01\x7f"
    assert nodes[4].extended_attributes[0] == ExtendedAttribute("user.a", b"1")


def test_an_empty_tree_is_restics() -> None:
    assert assemble_tree([]) == EMPTY_TREE == b'{"nodes":[]}\n'
    assert decode_tree(EMPTY_TREE) == []
    assert references(EMPTY_TREE) == ([], [])


def test_what_go_escapes_is_escaped_everywhere() -> None:
    target = 'a<b>c&d\u2028e\u2029f\ufffdg"\\\n/é'.encode()
    result = status(stat.S_IFLNK | 0o777, 1)
    node = node_from_stat(b"l", result, user="u<\udcfe", group="g&", linktarget=target)
    tree = assemble_tree([encode_node(node)])
    assert b'"user":"u\\u003c\\ufffd","group":"g\\u0026"' in tree
    assert '"linktarget":"a\\u003cb\\u003ec\\u0026d\\u2028e\\u2029f\ufffdg\\"\\\\\\n/é","content"'.encode() in tree
    assert link_target(decode_tree(tree)[0]) == target


def test_every_byte_that_is_no_utf8_is_replaced_by_itself() -> None:
    """Go replaces byte by byte, even within the start of a longer character; a real U+FFFD stays."""
    result = status(stat.S_IFLNK | 0o777, 1)
    node = node_from_stat(b"l", result, user="", group="", linktarget=b"\xe2\x82A\xed\xa0\x80\xef\xbf\xbd")
    encoded = encode_node(node)
    expected = b'"linktarget":"' + b"\\ufffd" * 2 + b"A" + b"\\ufffd" * 3 + b'\xef\xbf\xbd","linktarget_raw":'
    assert expected in encoded
    assert encode_node(decode_tree(assemble_tree([encoded]))[0]) == encoded


def test_what_other_systems_keep_is_passed_on_untouched() -> None:
    attributes = b'"generic_attributes":{"windows.creation_time":"AA==","x": [1.50, {"y":null}] },'
    tree = GOLDEN_TREE.replace(b'"content"', attributes + b'"content"', 1).replace(b"\\ufffd\\u003c", b"")
    tree = tree.replace(attributes + b'"content"', b'"content"').replace(
        b'"device":1801', attributes + b'"device":1801'
    )
    nodes = decode_tree(tree)
    assert isinstance(nodes[0].generic_attributes, msgspec.Raw)
    assert attributes in assemble_tree([encode_node(nodes[0])])


def test_fields_that_are_not_known_are_ignored() -> None:
    tree = b'{"x":[{}],"nodes":[{"new":{"deep":[1]},"name":"a","type":"fifo","mtime":"2024-01-01T00:00:00+01:00"}]}\n'
    (node,) = decode_tree(tree)
    assert (node.name, node.type, node.uid, node.content) == ("a", "fifo", 0, None)
    assert node.atime == NO_TIME
    assert encode_node(node) == (
        b'{"name":"a","type":"fifo","mtime":"2024-01-01T00:00:00+01:00","uid":0,"gid":0,"content":null}'
    )


def test_a_zero_time_that_was_stored_is_written_again() -> None:
    node = b'{"name":"a","type":"fifo","mtime":"%s","atime":"%s","ctime":"%s","uid":0,"gid":0,"content":null}'
    node %= (NO_TIME.encode(),) * 3
    assert encode_node(decode_tree(assemble_tree([node]))[0]) == node


def test_the_largest_numbers_survive() -> None:
    node = Node(name="a", type="chardev", uid=2**32 - 1, gid=2**32 - 1, mode=2**32 - 1)
    node.inode = node.device_id = node.device = 2**64 - 1
    assert decode_tree(assemble_tree([encode_node(node)])) == [node]


def test_trees_that_are_not_sorted_are_read() -> None:
    names = ["b", "a", "c"]
    tree = assemble_tree([encode_node(Node(name=name, type="fifo")) for name in names])
    assert [node.name for node in decode_tree(tree)] == names


def test_references_are_every_subtree_and_blob() -> None:
    assert references(GOLDEN_TREE) == ([SUBTREE], [BLOB] * 4)
