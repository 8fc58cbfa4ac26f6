from django.db import migrations, models
from django.db.models.fields.json import KeyTextTransform


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_visits_index")]

    operations = [
        migrations.RemoveIndex(model_name="record", name="audit_record_visit_idx"),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                models.F("tenant"),
                KeyTextTransform("access_session", "actor"),
                models.F("sequence"),
                name="audit_record_session_idx",
                condition=models.Q(actor__has_key="access_session"),
            ),
        ),
    ]
