"""What a folder says about the application in it: pure functions over its files, one module per kind of evidence.

Everything that is read may be somebody else's: sizes, depths and numbers are bounded, links to folders are not
followed, and the values of ``.env`` files stay in memory.
"""
