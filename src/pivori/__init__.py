"""Pivori Backup: backup and proven recovery for application stacks."""

__version__ = "0.1.0"
