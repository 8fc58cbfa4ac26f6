"""Rules over telemetry: what is wrong, since when, and what was seen."""
