from datetime import timedelta

from django.apps import AppConfig, apps


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        from apps.accounts.platform import END_ACCESS_SESSION
        from apps.events import due
        from apps.events.retention import expire

        # Ingest runs without allauth, which the mail messages import; it sends no mail.
        if apps.is_installed("allauth.account"):
            from apps.accounts.mail_messages import register_mail_kinds

            register_mail_kinds()
        due.register(END_ACCESS_SESSION, END_ACCESS_SESSION)
        expire(
            "accounts_knownbrowser",
            retention=timedelta(days=180),
            condition="last_used_at < %(before)s",
        )
        expire(
            "accounts_invitation", retention=timedelta(days=90), condition="expires_at < %(before)s"
        )
        expire(
            "accounts_invitationaddress",
            retention=timedelta(0),
            condition="expires_at < %(before)s",
        )
        expire(
            "accounts_breakglass",
            retention=timedelta(days=730),
            condition="expires_at < %(before)s",
        )
        expire(
            "accounts_apitoken",
            retention=timedelta(days=400),
            # Not while tokens that were created with it still exist.
            condition="least(revoked_at, expires_at) < %(before)s AND NOT EXISTS (SELECT FROM accounts_apitoken child"
            " WHERE child.parent_id = accounts_apitoken.id)",
        )
        expire(
            "accounts_opensession",
            retention=timedelta(0),
            condition="session_id IN (SELECT session_key FROM django_session WHERE expire_date < %(before)s)",
        )
        expire("django_session", retention=timedelta(0), condition="expire_date < %(before)s")
