"""PostgreSQL: what the kinds ``postgres`` and ``postgres-physical`` share, and the logical kind in ``logical*``."""
