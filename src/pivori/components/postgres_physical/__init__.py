"""A PostgreSQL cluster as it lies on its disk, with the log of every change since: recovery to any moment."""
