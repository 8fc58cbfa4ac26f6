"""The OpenAPI components of rule documents, made from the schemas that check them."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field

from apps.alerts.rules.compile import RULE_SCHEMA
from apps.alerts.rules.conditions import CONDITIONS
from apps.rest.fields import BoundedDict

#: Fields of a rule document; the largest shipped one has a third of that.
MAX_FIELDS = 50
_COMPONENTS = "#/components/schemas/"


@extend_schema_field({"$ref": f"{_COMPONENTS}RuleDocument"})
class RuleDocumentField(BoundedDict):
    """A rule document; import checks it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_FIELDS, **kwargs)


def publish_rule_documents(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of the generator: the rule document, and a component for each type of condition."""
    schemas = result["components"]["schemas"]
    schemas |= rule_components() if "Rule" in schemas else {}
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


def rule_components() -> dict[str, Any]:
    """Component -> schema."""
    names = {type_name: component_of(type_name) for type_name in CONDITIONS}
    mapping = {type_name: _COMPONENTS + name for type_name, name in names.items()}
    document = {name: part for name, part in RULE_SCHEMA.items() if name[0] != "$"}
    condition = {"$ref": f"{_COMPONENTS}RuleCondition"}
    return {
        "RuleDocument": {
            **_as_openapi(document),
            "properties": {**_as_openapi(document["properties"]), "condition": condition},
        },
        "RuleCondition": {
            "oneOf": [{"$ref": ref} for ref in mapping.values()],
            "discriminator": {"propertyName": "type", "mapping": mapping},
        },
        **{names[key]: _as_openapi(condition.schema()) for key, condition in CONDITIONS.items()},
    }


def component_of(type_name: str) -> str:
    """The name of the component of a type of condition."""
    return "".join(word.title() for word in type_name.split("_")) + "Condition"


def _as_openapi(schema: Any) -> Any:
    """JSON Schema in the words of OpenAPI 3.0."""
    if isinstance(schema, list | tuple):
        return [_as_openapi(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for name, part in schema.items():
        if name == "const":
            found["enum"] = [part]
        elif name == "exclusiveMinimum":
            found |= {"minimum": part, "exclusiveMinimum": True}
        else:
            found[name] = _as_openapi(part)
    return found
