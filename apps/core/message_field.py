"""A column for a stored message."""

from typing import Any

from django.db import models

from apps.core.messages import Message


class MessageField(models.JSONField):
    """A ``Message`` as JSON: its code and parameters. Null where there is none, never JSON's null."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Message | None:
        document = super().from_db_value(value, expression, connection)
        return Message.from_document(document) if document else None

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(value.as_document() if isinstance(value, Message) else value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002  (Django's signature)
        return None if value is None else super().get_db_prep_value(value, connection, prepared)

    def value_to_string(self, obj: models.Model) -> Any:
        value = self.value_from_object(obj)
        return value.as_document() if isinstance(value, Message) else value
