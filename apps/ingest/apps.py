from datetime import timedelta

from django.apps import AppConfig


class IngestConfig(AppConfig):
    name = "apps.ingest"

    def ready(self) -> None:
        from apps.events.retention import expire
        from apps.telemetry.partitions import RETENTION_DAYS

        # As long as the samples of the batch.
        expire(
            "ingest_batchreceipt",
            retention=timedelta(days=RETENTION_DAYS),
            condition="received_at < %(before)s",
        )
        # Only streams of earlier boots: the newest one's watermark is needed when the agent reconnects.
        expire(
            "ingest_stream",
            retention=timedelta(days=2 * RETENTION_DAYS),
            condition="last_batch_at < %(before)s AND EXISTS (SELECT FROM ingest_stream later"
            " WHERE later.tenant_id = ingest_stream.tenant_id"
            " AND later.agent_id = ingest_stream.agent_id"
            " AND later.last_batch_at > ingest_stream.last_batch_at)",
        )
