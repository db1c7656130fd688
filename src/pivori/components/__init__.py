"""What a stack is made of: one module or package per kind of component, all behind the protocol of ``base``.

A component knows how its thing is read consistently and brought back. It writes to a ``Sink`` and reads from a
``Source``; it never learns what a repository is.
"""
