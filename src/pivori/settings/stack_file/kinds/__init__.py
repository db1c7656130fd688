"""The options of each kind of component, one module per kind."""
