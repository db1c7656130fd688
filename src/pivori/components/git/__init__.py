"""Git repositories: everything committed, stashed, staged and not yet added."""
