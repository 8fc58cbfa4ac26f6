"""Client of the ingest API: enrollment, certificate, heartbeat, config, batches."""
