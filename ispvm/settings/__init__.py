"""Settings, one concern per module; `server` runs the platform, `test` runs the tests."""
