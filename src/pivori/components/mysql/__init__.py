"""The kind ``mysql``: databases of MariaDB and MySQL as dumps of one moment."""
