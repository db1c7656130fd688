"""SQLite databases: copied online, checked, and brought back whole."""
