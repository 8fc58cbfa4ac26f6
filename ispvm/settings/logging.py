"""Logs: JSON lines with request, tenant and job ids, or readable lines on a console."""

import os
from typing import Any

import structlog

from apps.core.logs import hide_fields, hide_patterns
from ispvm.settings.env import Reader

env = Reader(os.environ)

_level = env.choice("ISPVM_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
_format = env.choice("ISPVM_LOG_FORMAT", ("json", "console"), "console")
_shared: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    hide_fields,
]
# Plain tracebacks: local variables could contain secrets.
_RENDERERS: dict[str, list[structlog.typing.Processor]] = {
    "json": [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    "console": [
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    ],
}


def lines(kind: str) -> dict[str, Any]:
    """A formatter for ``logging.config``."""
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_RENDERERS[kind],
            hide_patterns,
        ],
    }


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": lines(_format)},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": _level},
    "loggers": {
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
