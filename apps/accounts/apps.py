from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        from apps.accounts.idempotency import PRUNE, PRUNE_EVERY
        from apps.accounts.platform import END_VISIT
        from apps.events import due

        due.register(PRUNE, PRUNE, every=PRUNE_EVERY)
        due.register(END_VISIT, END_VISIT)
