from django.db import migrations, models
from django.db.models.fields.json import KeyTextTransform


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_verification"), ("tenancy", "0002_sign_in_policy")]

    operations = [
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                models.F("tenant"),
                KeyTextTransform("visit", "actor"),
                models.F("sequence"),
                name="audit_record_visit_idx",
                condition=models.Q(actor__has_key="visit"),
            ),
        ),
    ]
