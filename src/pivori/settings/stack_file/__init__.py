"""``pivori.toml``: what it may say, what it says, and everything that is wrong with it."""
