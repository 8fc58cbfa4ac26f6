"""Settings of all processes: apps, middleware, templates, time."""

import os
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from ispvm.settings.env import PROJECT, Reader

env = Reader(os.environ)

BASE_DIR = PROJECT
ISPVM_HOME = Path(env.text("ISPVM_HOME", str(PROJECT / ".ispvm")))
ISPVM_ENV = env.choice("ISPVM_ENV", ("dev", "test", "prod"), "dev")
ISPVM_PUBLIC_URL = env.text("ISPVM_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
ISPVM_INGEST_URL = env.text("ISPVM_INGEST_URL", "https://127.0.0.1:8001").rstrip("/")

DEBUG = env.boolean("ISPVM_DEBUG")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "guardian",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_prometheus",
    # Factors and identities, and their protocols; allauth's pages and URLs are not served.
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    # Lowest first (see the import contracts in pyproject.toml).
    "apps.core",
    "apps.tenancy",
    "apps.events",
    "apps.mail",
    "apps.audit",
    "apps.authorization",
    "apps.pages",
    "apps.rest",
    "apps.backoffice",
    "apps.accounts",
    "apps.vault",
    "apps.inventory",
    "apps.topology",
    "apps.telemetry",
    "apps.charts",
    "apps.agents",
    "apps.ingest",
    "apps.maintenance",
    "apps.alerts",
    "apps.incidents",
    "apps.diagnostics",
    "apps.delivery",
    "apps.webhooks",
    "apps.console",
]
if (BASE_DIR / "apps/lab").is_dir():  # not in the production image
    INSTALLED_APPS.append("apps.lab")

# Labels of apps with migrations in the database that this process does not install.
ISPVM_APPS_WITHOUT_TABLES_HERE: tuple[str, ...] = ()

MIDDLEWARE = [
    "apps.core.requests.RequestIdMiddleware",
    "apps.core.metrics.middleware.RequestsBefore",
    "apps.core.admission.middleware.AdmissionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "apps.core.web.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.pages.partials.PartialETagMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.accounts.oidc.provider_sessions.ProviderSessionMiddleware",
    "apps.accounts.middleware.TenantMiddleware",
    "apps.accounts.factor_middleware.SecondFactorMiddleware",
    "apps.core.web.DomainErrorMiddleware",
    "apps.accounts.middleware.ConfirmMiddleware",
    "apps.core.metrics.middleware.RequestsByView",
]

ROOT_URLCONF = "ispvm.urls"
WSGI_APPLICATION = "ispvm.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "apps.console.web.navigation.navigation",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "apps.pages.template_loader.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                ),
            ],
        },
    },
]

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("ar", _("Arabic")),
    ("es", _("Spanish")),
    ("pt", _("Portuguese")),
]
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "apps.pages.front_end.PackageFinder",
]
STATIC_ROOT = ISPVM_HOME / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "apps.pages.front_end.CollectedFiles"},
}
