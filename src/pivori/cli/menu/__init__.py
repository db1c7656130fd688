"""The menu: what it offers (``entries``), how one chooses (``choosing``), and what then happens (``dialogue``)."""
