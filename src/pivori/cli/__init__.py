"""The terminal: what a person types, sees and pipes. Commands are loaded when used."""
