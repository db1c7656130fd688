"""The kind ``mysql`` under the contract of components, on a real MariaDB."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.components.mysql.component import MysqlComponent
from pivori.components.mysql.server import Server
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract
from tests.servers.mariadb import PASSWORD, PrivateMariadb, mariadb_server

ODD = "Größe `x`/%"
HOSTILE = "odd\nUSE `aim`;\nINSERT INTO `q` VALUES\n(x"


class MysqlSpecimen:
    """A server with accounts, databases, and odd things in them."""

    def __init__(self, server: PrivateMariadb, root: Path) -> None:
        self.server = server
        self.root = root
        self.component = MysqlComponent(
            name="db", server=Server(unix_socket=server.socket, user="keeper", password=lambda: PASSWORD)
        )
        self.keeper()
        fill(server)

    def keeper(self) -> None:
        """The user that captures and restores."""
        password = PASSWORD.replace("\\", "\\\\")
        self.server.run(
            f"CREATE USER keeper@localhost IDENTIFIED BY '{password}'",
            "GRANT ALL ON *.* TO keeper@localhost WITH GRANT OPTION",
        )

    def state(self) -> list[str]:
        return self.server.state()

    def change(self) -> None:
        self.server.run(
            "UPDATE shop.accounts SET balance = balance + 1 WHERE id = 3",
            "DROP VIEW shop.rich",
            "DROP FUNCTION shop.twice",
            "DROP TRIGGER shop.mark",
            f"DELETE FROM `{ODD.replace('`', '``')}`.t",
        )

    def destroy(self) -> None:
        self.server.stop()
        self.server.start()
        self.keeper()

    def breaks(self) -> None:
        self.server.stop()

    def spoil(self, capture: FolderCapture) -> None:
        dump = capture.folder / "data.sql"
        with dump.open("r+b") as file:
            file.truncate(dump.stat().st_size - 100)


def fill(server: PrivateMariadb) -> None:
    """What the specimen has."""
    odd = "`" + ODD.replace("`", "``") + "`"
    hostile = "`" + HOSTILE.replace("`", "``") + "`"
    server.run(
        "CREATE ROLE clerk",
        "CREATE USER 'bo`ss'@'%' IDENTIFIED BY 'secret;'",
        "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE DATABASE aim CHARACTER SET latin1",
        f"CREATE DATABASE {odd} CHARACTER SET utf8mb4",
        "GRANT SELECT ON shop.* TO clerk",
        "GRANT clerk TO 'bo`ss'@'%' WITH ADMIN OPTION",
        "GRANT INSERT ON aim.* TO 'bo`ss'@'%'",
        "USE shop",
        "CREATE TABLE accounts (id int AUTO_INCREMENT PRIMARY KEY, owner varchar(80) UNIQUE, balance int DEFAULT 100,"
        " twice int GENERATED ALWAYS AS (balance * 2) STORED, `C` longblob, mood enum('fi\nne', 'not'),"
        " CHECK (owner <> 'a\\nUSE `aim`;\\n')) COMMENT 'tab\\nle'",
        "INSERT INTO accounts (owner, C, mood)"
        " SELECT concat('o', seq), repeat(char(0, 10, 39, 92), 50), 1 FROM seq_1_to_90",
        "CREATE TABLE aa_payments (payer int, payee int, FOREIGN KEY (payer) REFERENCES accounts (id),"
        " FOREIGN KEY (payee) REFERENCES accounts (id) ON DELETE CASCADE)",
        "INSERT INTO aa_payments SELECT id, id + 1 FROM accounts WHERE id < 90",
        "CREATE TABLE texts (t longtext)",
        "INSERT INTO texts VALUES ('é😀\\n(\\nUSE `aim`;\\nINSERT INTO `q` VALUES\\n(1);\\n')",
        "INSERT INTO texts VALUES (NULL), (';\\n'), ('\\r\\n')",
        f"CREATE TABLE {hostile} (a int)",
        f"INSERT INTO {hostile} VALUES (1), (2)",
        "CREATE FUNCTION twice(i int) RETURNS int DETERMINISTIC BEGIN RETURN i * 2; END",
        "CREATE PROCEDURE talk() BEGIN SELECT 'x\nUSE `aim`;\nDELIMITER ;\n'; END",
        "CREATE VIEW rich AS SELECT owner, twice(balance) AS b, 'x\\nUSE `aim`;\\n' AS c FROM accounts",
        "CREATE TRIGGER mark BEFORE INSERT ON accounts FOR EACH ROW"
        " SET NEW.owner = concat(NEW.owner, '\nUSE `aim`;\n')",
        "CREATE EVENT often ON SCHEDULE EVERY 1 DAY DO DELETE FROM texts",
        "CREATE SEQUENCE numbers",
        "CREATE TABLE aim.a (i int) ENGINE = MyISAM",
        "INSERT INTO aim.a VALUES (7)",
        f"CREATE TABLE {odd}.t (v varchar(9))",
        f"INSERT INTO {odd}.t VALUES ('é'), ('ü')",
    )


class TestMysql(ComponentContract):
    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Iterator[MysqlSpecimen]:
        with mariadb_server() as server:
            yield MysqlSpecimen(server, tmp_path)
