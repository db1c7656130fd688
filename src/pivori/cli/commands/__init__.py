"""The commands, one module each; ``cli/command_table.py`` names them.

Each module has a ``command``, made with :func:`pivori.cli.options.repository_command` or
:func:`pivori.cli.options.repository_group`. ``cli/main.py`` says how to add one.
"""
