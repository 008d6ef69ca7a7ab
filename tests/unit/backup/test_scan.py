"""What is read off a dump while it goes by."""

from __future__ import annotations

import pytest

from opsfix.backup.scan import Scan


def section(table: bytes, data: bytes) -> bytes:
    name = table.replace(b"`", b"``")
    return (
        b"--\n-- Table structure for table `%b`\n--\n\nDROP TABLE IF EXISTS `%b`;\nCREATE TABLE `%b` (\n  `id` int\n);\n\n"
        b"--\n-- Dumping data for table `%b`\n--\n\nLOCK TABLES `%b` WRITE;\n/*!40000 ALTER TABLE `%b` DISABLE KEYS */;\n"
        b"%b/*!40000 ALTER TABLE `%b` ENABLE KEYS */;\nUNLOCK TABLES;\n" % (name, name, name, name, name, name, data, name)
    )


END = b"\n-- Dump completed on 2026-11-21  2:10:33\n"
ROWS = b"INSERT INTO `t` VALUES\n(1,'a\\n(b',NULL),\n(2,'x'),\n(3,'\\nUNLOCK TABLES;\\n');\nINSERT INTO `t` VALUES\n(4,'y');\n"
DUMP = b"-- MariaDB dump\n\n" + section(b"t", ROWS) + section(b"empty", b"") + section(b"odd `x", b"INSERT INTO `odd ``x` VALUES\n(1);\n")
VERSIONS = section(b"alembic_version", b"INSERT INTO `alembic_version` VALUES\n('b1bca967e19d'),\n('5c85685d616d');\n")


def scanned(dump: bytes, piece: int = 1 << 20, rows: str = "line") -> Scan:
    scan = Scan(rows)
    for start in range(0, len(dump), piece):
        scan.feed(dump[start:start + piece])
    return scan


@pytest.mark.parametrize("piece", [1, 2, 7, 64, 1000, 1 << 20])
def test_tables_and_rows_are_the_same_however_the_dump_is_cut(piece: int) -> None:
    scan = scanned(DUMP + VERSIONS + END, piece)
    assert {n: t.rows for n, t in scan.tables.items()} == {"t": 4, "empty": 0, "odd `x": 1, "alembic_version": 2}
    assert scan.tables == scanned(DUMP + VERSIONS + END).tables
    assert scan.heads() == ["5c85685d616d", "b1bca967e19d"]
    assert scan.whole
    assert scan.size == len(DUMP + VERSIONS + END)


@pytest.mark.parametrize("cut", [1, 5, len(END) - 1, len(END), len(END) + 40, 1000])
def test_a_dump_that_was_cut_off_is_not_whole(cut: int) -> None:
    assert not scanned((DUMP + END)[:-cut]).whole


def test_what_comes_after_the_mark_is_no_whole_dump() -> None:
    assert not scanned(DUMP + END + b"INSERT INTO `t` VALUES\n").whole
    assert scanned(DUMP + END + b"\n").whole


def test_a_row_that_speaks_of_the_end_is_a_row() -> None:
    row = b"INSERT INTO `t` VALUES\n(1,'\\n-- Dump completed on x\\nUNLOCK TABLES;\\n');\n"
    scan = scanned(section(b"t", row))
    assert scan.tables["t"].rows == 1
    assert not scan.whole


def test_another_row_is_another_digest() -> None:
    one, other = scanned(DUMP), scanned(DUMP.replace(b"(2,'x')", b"(2,'z')"))
    assert one.tables["t"].digest != other.tables["t"].digest
    assert one.tables["empty"] == other.tables["empty"]


def test_one_insert_a_row() -> None:
    data = b"INSERT INTO `t` VALUES (1,'a');\nINSERT INTO `t` VALUES (2,'(b),(c)');\n"
    assert scanned(section(b"t", data), rows="insert").tables["t"].rows == 2


def test_all_rows_on_one_line() -> None:
    data = b"INSERT INTO `t` VALUES (1,'a),(b'),(2,'it\\'s (c)'),(3,NULL);\nINSERT INTO `t` VALUES (4,0x00FF);\n"
    assert scanned(section(b"t", data), rows="tuple").tables["t"].rows == 4


def test_a_procedure_that_looks_like_rows_is_none() -> None:
    body = b"DELIMITER ;;\nCREATE PROCEDURE `p`()\nSELECT 1 IN\n(1),\n(2);;\nLOCK TABLES `t` WRITE;\n(3)\n"
    scan = scanned(section(b"t", ROWS) + body + END)
    assert scan.tables["t"].rows == 4
    assert scan.whole


def test_a_database_without_alembic_has_no_heads() -> None:
    assert scanned(DUMP).heads() == []
