"""``manage audit verify``: check the audit chains of tenants and of the platform."""

import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.audit.chain import Checkpoint
from apps.audit.verification import (
    PLATFORM_CHAIN,
    TENANT_CHAIN,
    Chain,
    State,
    Step,
    verify_step,
)
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

PLATFORM = "platform"
HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


class Command(BaseCommand):
    """Exit code 0: every chain is intact; 1: one is broken; 2: wrong usage."""

    help = (
        "Verify audit chains. Prints one line per chain and its head; exit code 1 if one is broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        verify = commands.add_parser(
            "verify", help="check every record of a chain against its hash"
        )
        verify.add_argument(
            "--tenant", action="append", default=[], metavar="SLUG", help="may be repeated"
        )
        verify.add_argument(
            "--platform", action="store_true", help="the chain of actions outside of tenants"
        )
        verify.add_argument("--all", action="store_true", help="all tenants and the platform")
        verify.add_argument(
            "--head",
            action="append",
            default=[],
            metavar="SEQUENCE:HASH",
            help="a head saved from an earlier run; requires exactly one chain",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chains = list(_chains(options))
        known_heads = [_parse_head(text) for text in options["head"]]
        if known_heads and len(chains) != 1:
            raise CommandError("--head requires exactly one chain.", returncode=2)
        broken = 0
        for name, tenant in chains:
            step = _verify(tenant, known_heads)
            broken += step.state is State.BROKEN
            self.stdout.write(_describe(name, step))
        if broken:
            sys.exit(1)


def _chains(options: dict[str, Any]) -> Iterator[tuple[str, Tenant | None]]:
    is_all = options["all"]
    if not (is_all or options["platform"] or options["tenant"]):
        raise CommandError("Choose a chain: --tenant SLUG, --platform or --all.", returncode=2)
    tenants = Tenant.objects.order_by("slug")
    if not is_all:
        tenants = tenants.filter(slug__in=options["tenant"])
        if unknown := set(options["tenant"]) - {tenant.slug for tenant in tenants}:
            raise CommandError(f"No such tenant: {', '.join(sorted(unknown))}.", returncode=2)
    yield from ((tenant.slug, tenant) for tenant in tenants)
    if is_all or options["platform"]:
        yield f"({PLATFORM})", None


def _parse_head(text: str) -> Checkpoint:
    match = HEAD.fullmatch(text)
    if match is None:
        raise CommandError("--head is a number, a colon and 64 hex digits.", returncode=2)
    return Checkpoint(int(match[1]), bytes.fromhex(match[2]))


def _verify(tenant: Tenant | None, known_heads: list[Checkpoint]) -> Step:
    """Each step is a transaction of its own, so that a long chain uses little memory and no long snapshot."""
    after = Checkpoint()
    while True:
        context: AbstractContextManager[Any] = acting_in(tenant) if tenant else nullcontext()
        chain: Chain = TENANT_CHAIN if tenant else PLATFORM_CHAIN
        with context:
            step = verify_step(chain, after=after, known_heads=known_heads)
        if step.state is not State.IN_PROGRESS:
            return step
        after = step.position


def _describe(name: str, step: Step) -> str:
    if step.state is State.BROKEN:
        return (
            f"{name}: BROKEN at record {step.first_bad} ({step.fault});"
            f" intact up to {step.position.sequence}, head {step.head}"
        )
    return f"{name}: intact, {step.position.sequence} records, head {step.head}"
