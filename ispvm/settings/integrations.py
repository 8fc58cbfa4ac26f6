"""REST framework and OpenAPI."""

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.api.authentication.BearerTokenAuthentication",
        "apps.accounts.api.authentication.TenantSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.rest.permissions.DeclaredPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.rest.parsing.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "apps.rest.pagination.SignedCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "apps.rest.schema.TenantAutoSchema",
    "EXCEPTION_HANDLER": "apps.rest.problems.problem_response",
    # Django REST framework's own OPTIONS would list what a field may refer to.
    "DEFAULT_METADATA_CLASS": None,
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "ISPVisualMonitor REST API",
    "VERSION": "1",
    "DESCRIPTION": "The guide for integrators is docs/rest.md; docs/problems.md lists every problem `code`.",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.rest.schema.share_problem_responses",
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "CredentialSetKindEnum": "apps.vault.kinds.KIND_CHOICES",
        "RoleEnum": "apps.inventory.choices.DeviceRole",
        "MemberRoleEnum": "apps.authorization.choices.Role",
        "ConnectionTestStateEnum": "apps.diagnostics.choices.TestState",
        "AlertStateEnum": "apps.alerts.choices.AlertState",
        "DeliveryStateEnum": "apps.delivery.choices.DeliveryState",
        "ProbeMethodEnum": "apps.inventory.choices.ProbeMethod",
        "AgentStatusEnum": "apps.agents.choices.AgentStatus",
        "IncidentStatusEnum": "apps.incidents.choices.IncidentStatus",
    },
}
