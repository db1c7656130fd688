"""Contract suites an extension must pass. Import the suite's module from a test; it needs pytest."""
