from django.db import migrations, models


class Migration(migrations.Migration):
    """Delivered events go by age; the keeper prunes, so that tasks of before have nothing to do any more."""

    dependencies = [("events", "0001_outbox_and_due")]

    operations = [
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(fields=["tenant", "created_at"], name="events_outboxevent_age_idx"),
        ),
        migrations.RunSQL(
            "DELETE FROM events_due WHERE kind IN ('webhooks.prune', 'accounts.prune_answers')",
            migrations.RunSQL.noop,
        ),
    ]
