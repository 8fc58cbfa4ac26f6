"""The launcher: embedded servers, the platform's processes, the demo, tests and checks."""
