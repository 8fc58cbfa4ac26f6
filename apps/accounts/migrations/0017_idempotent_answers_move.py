from django.db import migrations

RENAMES = (
    "ALTER TABLE accounts_idempotentanswer RENAME TO rest_idempotencyrecord",
    "ALTER INDEX accounts_idempotentanswer_uniq RENAME TO rest_idempotencyrecord_uniq",
    "ALTER INDEX accounts_idempotentanswer_row_uniq RENAME TO rest_idempotencyrecord_row_uniq",
    "ALTER INDEX accounts_answer_age_idx RENAME TO rest_idempotencyrecord_age_idx",
)
BACK = (
    "ALTER TABLE rest_idempotencyrecord RENAME TO accounts_idempotentanswer",
    "ALTER INDEX rest_idempotencyrecord_uniq RENAME TO accounts_idempotentanswer_uniq",
    "ALTER INDEX rest_idempotencyrecord_row_uniq RENAME TO accounts_idempotentanswer_row_uniq",
    "ALTER INDEX rest_idempotencyrecord_age_idx RENAME TO accounts_answer_age_idx",
)


class Migration(migrations.Migration):
    """The table moves to ``apps.rest``, whose first migration takes it over."""

    dependencies = [("accounts", "0016_operators_are_verified")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(RENAMES, BACK)],
            state_operations=[migrations.DeleteModel("IdempotentAnswer")],
        )
    ]
