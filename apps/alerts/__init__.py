"""Alert rules evaluated over telemetry, and the alerts that they raise."""
