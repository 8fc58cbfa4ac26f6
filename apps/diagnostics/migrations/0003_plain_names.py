from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("diagnostics", "0002_test_destination")]

    operations = [
        migrations.RenameField("connectiontest", "worked", "accepted_credential_set"),
        migrations.RenameField("connectiontest", "taken_at", "started_at"),
        migrations.AlterField(
            model_name="connectiontest",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("ok", "Login succeeded"),
                    ("wrong_credentials", "Login failed: wrong user name or password"),
                    ("unreachable", "No route to the router"),
                    (
                        "refused",
                        "Connection refused: the API service is disabled or uses another port",
                    ),
                    ("tls_failed", "TLS handshake failed"),
                    ("timeout", "Connection timed out"),
                    (
                        "api_disabled",
                        "The router closed the session: the API is not allowed from the agent's address",
                    ),
                    ("no_credentials", "No credentials that the agent can decrypt"),
                ],
                default="",
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="connectiontest",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting for the agent"),
                    ("running", "Running"),
                    ("done", "Done"),
                    ("expired", "The agent did not respond in time"),
                ],
                default="waiting",
                max_length=20,
            ),
        ),
    ]
