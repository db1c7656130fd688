"""A stack: an application's components, taken together in one recovery point and brought back in the right order."""
