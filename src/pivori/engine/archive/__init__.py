"""The verbs on portable archives: create, verify, restore, import, export, prune, and what they share."""
