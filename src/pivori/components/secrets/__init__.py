"""Secrets: files and outputs of commands, each sealed to age recipients before it enters the repository.

``component`` is the component; ``found_files`` and ``secret_command`` get secrets, ``capturing`` takes them,
``sealing`` seals and opens, ``seal_notes`` recognises what has not changed, ``restoring`` brings back.
"""

from pivori.components.secrets.component import SecretsComponent
from pivori.components.secrets.identity import IdentityNotWritten, new_identity
from pivori.components.secrets.secret_command import SecretCommand

__all__ = ["IdentityNotWritten", "SecretCommand", "SecretsComponent", "new_identity"]
