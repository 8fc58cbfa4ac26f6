"""Stored messages, and list fields of request bodies with a maximum that is checked before any item is validated.

Django REST framework's own list checks its length last, after every item was validated, and its list of related rows
has no maximum at all: each id would be a query.
"""

from collections.abc import Sized
from typing import Any

from rest_framework import serializers
from rest_framework.relations import ManyRelatedField

from apps.core.messages import Message

TOO_MANY = "At most {max_length}."


class MessageSerializer(serializers.Serializer[Any]):
    """A text as a stable code with parameters; a parameter may be such an object itself."""

    code = serializers.CharField()
    params = serializers.DictField()

    def to_representation(self, instance: Message) -> dict[str, Any]:
        return instance.as_document()


class BoundedList(serializers.ListField):
    """A list of at most ``max_length`` items."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > (self.max_length or 0):
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class BoundedDict(serializers.DictField):
    """An object of at most ``max_length`` members, whose names have at most ``max_name_length`` characters."""

    default_error_messages = {
        "max_length": TOO_MANY,
        "max_name_length": "Names have at most {max_name_length} characters.",
    }

    def __init__(self, *, max_length: int, max_name_length: int = 100, **kwargs: Any) -> None:
        self.max_length, self.max_name_length = max_length, max_name_length
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            if len(data) > self.max_length:
                self.fail("max_length", max_length=self.max_length)
            if any(len(str(name)) > self.max_name_length for name in data):
                self.fail("max_name_length", max_name_length=self.max_name_length)
        return super().to_internal_value(data)


class BoundedChoices(serializers.MultipleChoiceField):
    """Multiple choices, without duplicates."""

    default_error_messages = {"max_length": TOO_MANY}

    @property
    def max_length(self) -> int:
        return len(self.choices)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Sized) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class BoundedRelated(ManyRelatedField):
    """References to at most ``max_length`` rows; ``child_relation`` is what each is."""

    default_error_messages = {"max_length": TOO_MANY}

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        self.max_length = max_length
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


def publish_bounds(field: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field with the maximum that the generator does not know."""
    if isinstance(field, BoundedDict):
        return {**schema, "maxProperties": field.max_length}
    if isinstance(field, BoundedChoices | BoundedRelated | BoundedList):
        return {**schema, "maxItems": field.max_length}
    most = getattr(field, "max_length", None)
    if isinstance(field, serializers.ListSerializer) and most is not None:
        return {**schema, "maxItems": most}
    if isinstance(field, serializers.IPAddressField):
        return {**schema, "maxLength": MAX_ADDRESS_LENGTH}
    return schema


#: Of IPv6 with an embedded IPv4 address.
MAX_ADDRESS_LENGTH = 45
