"""Creates the first users of an installation from the command line; the setup page does the same in a browser."""

import secrets
import sys
from getpass import getpass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email, validate_slug

from apps.accounts.bootstrap import NewUser, Result, bootstrap, missing_users
from apps.accounts.models import User
from apps.accounts.setup import slug_of
from apps.core import clock
from apps.core.errors import DomainError

TRIES = 3


class Command(BaseCommand):
    help = (
        "Create the first platform operator, the first tenant and its admin. Prompts for missing options. "
        "Can be run again: existing objects are not changed. Needs DATABASE_OWNER_URL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", help="of the platform operator")
        parser.add_argument("--name", default="", help="of the platform operator")
        parser.add_argument("--tenant", help="name of the first tenant")
        parser.add_argument("--slug", help="its slug; default: derived from the name")
        parser.add_argument("--admin-email", help="of the tenant's admin; default: the operator")
        parser.add_argument("--admin-name", default="", help="of the tenant's admin")
        parser.add_argument(
            "--password-file",
            help="file with the operator's password on its first line; - reads standard input",
        )
        parser.add_argument(
            "--admin-password-file", help="file with the admin's password on its first line"
        )
        parser.add_argument(
            "--generate-passwords",
            action="store_true",
            help="generate passwords for which no file is given, and show each once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        email = self._email(options["email"] or self._prompt("E-mail of the platform operator"))
        tenant_name = options["tenant"] or self._prompt("Name of the first tenant")
        slug = options["slug"] or slug_of(tenant_name)
        operator = NewUser(email, options["name"])
        admin = (
            NewUser(self._email(options["admin_email"]), options["admin_name"])
            if options["admin_email"]
            else operator
        )
        self.generated: list[tuple[str, str]] = []
        try:
            validate_slug(slug)
            missing = {new_user.email for new_user in missing_users(operator, admin)}
            operator = self._with_password(operator, missing, options, "password_file")
            admin = self._with_password(admin, missing, options, "admin_password_file", operator)
            result = bootstrap(
                operator=operator,
                admin=admin,
                tenant_slug=slug,
                tenant_name=tenant_name,
                at=clock.now(),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.message) from error
        self._report(result, operator, admin, slug)

    def _with_password(
        self,
        new_user: NewUser,
        missing: set[str],
        options: dict[str, Any],
        option: str,
        other: NewUser | None = None,
    ) -> NewUser:
        if other is not None and new_user.email.casefold() == other.email.casefold():
            return other
        if new_user.email not in missing:
            return new_user
        password = self._password(new_user, options[option], generate=options["generate_passwords"])
        return NewUser(new_user.email, new_user.name, password)

    def _password(self, new_user: NewUser, file: str | None, *, generate: bool) -> str:
        if file:
            return self._read(file)
        if generate:
            password = secrets.token_urlsafe(18)
            self.generated.append((new_user.email, password))
            return password
        self._require_terminal("--password-file or --generate-passwords")
        for _ in range(TRIES):
            password = getpass(f"Password for {new_user.email}: ")
            try:
                validate_password(password, User(email=new_user.email, first_name=new_user.name))
            except ValidationError as error:
                self.stderr.write(" ".join(error.messages))
                continue
            if password == getpass("Confirm password: "):
                return password
            self.stderr.write("The two passwords differ.")
        raise CommandError("Nothing was changed: no valid password was entered.")

    def _read(self, file: str) -> str:
        try:
            text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"Nothing was changed: {file} cannot be read ({error}).") from error
        return text.split("\n", 1)[0].rstrip("\r")

    def _prompt(self, question: str) -> str:
        self._require_terminal("--email and --tenant")
        for _ in range(TRIES):
            answer = input(f"{question}: ").strip()
            if answer:
                return answer
        raise CommandError("Nothing was changed: no answer was given.")

    def _email(self, text: str) -> str:
        try:
            validate_email(text)
        except ValidationError as error:
            raise CommandError(
                f"Nothing was changed: {text!r} is not an e-mail address."
            ) from error
        return text

    def _require_terminal(self, options: str) -> None:
        if not sys.stdin.isatty():
            raise CommandError(f"Nothing was changed: no terminal to prompt on; use {options}.")

    def _report(self, result: Result, operator: NewUser, admin: NewUser, slug: str) -> None:
        if result.is_empty:
            self.stdout.write(
                f"Nothing was changed: {operator.email} is a platform operator and the tenant {slug} exists, "
                f"with {admin.email} as admin."
            )
            return
        for email in result.users:
            self.stdout.write(f"Created the account {email}.")
        for email, password in self.generated:
            if email in result.users:
                self.stdout.write(f"  Its password, shown only once: {password}")
        if result.tenant:
            self.stdout.write(f"Created the tenant {slug}; its admin is {admin.email}.")
        if result.operator:
            self.stdout.write(f"{result.operator} is a platform operator now.")
        self.stdout.write(
            "Next:\n"
            f"  1. Sign in at {settings.ISPVM_PUBLIC_URL}/sign-in/ and add an authenticator app or a passkey "
            "on your account page.\n"
            "  2. Add a site and a router with its login, then an agent: Agents, New agent.\n"
            "  3. Enroll the agent's host with the token shown there (docs/operator-handbook/agents.md)."
        )
