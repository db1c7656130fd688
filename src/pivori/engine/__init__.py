"""The verbs on snapshots, one file or folder each. They emit events and return outcomes; they neither print nor read
the environment or the clock."""
