from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.lab.demo.folder import Folder
from apps.lab.demo.network import Provisioner
from apps.lab.demo.rest import Rest, RestError
from apps.lab.demo.users import ensure_tenant, ensure_token, ensure_users, rest_of


class Command(BaseCommand):
    help = (
        "Provision the simulated ISP on the platform; run again, it creates only what is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, required=True, help="seed of the simulated network")
        parser.add_argument(
            "--control", required=True, help="URL of the simulator's control interface"
        )
        parser.add_argument("--out", type=Path, required=True, help="data folder of the demo")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Folder(options["out"])
        try:
            topology = Rest(options["control"]).get("/topology")
            if topology["seed"] != options["seed"]:
                raise CommandError("The simulator runs with another seed.")
            tenant = ensure_tenant(topology["isp"])
            admin = ensure_users(tenant, folder)
            token = ensure_token(tenant, admin, folder)
            Provisioner(rest_of(folder, token), topology, folder).run()
        except RestError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{topology['isp']}: {len(topology['devices'])} routers, {len(topology['links'])} links."
        )
