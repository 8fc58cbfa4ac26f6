"""Speaking to the server: enrolment, certificate, heartbeat, config, batches."""
