"""Secrets: files and outputs of commands, each sealed to age recipients before it enters the repository."""

from pivori.components.secrets.identity import IdentityNotWritten, new_identity

__all__ = ["IdentityNotWritten", "new_identity"]
