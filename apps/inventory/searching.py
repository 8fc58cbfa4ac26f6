"""Search of the inventory by what operators paste: names, addresses and MAC addresses in any spelling."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Cast, Replace

from apps.core.folding import Folded
from apps.inventory.models import Device, Interface, Site

_PORT = re.compile(r"^(?P<host>\d+\.\d+\.\d+\.\d+):\d{1,5}$|^\[(?P<host6>[^\]]+)\](?::\d{1,5})?$")
_PREFIX = re.compile(r"/\d{1,3}$")
_MAC_SEPARATORS = re.compile(r"[:.\-]")
_PART_OF_ADDRESS = re.compile(r"^(?=.*[.:])[0-9a-f.:]+$", re.IGNORECASE)
#: Hexadecimal digits from which a text without separators is taken for (a part of) a MAC address.
MIN_MAC_DIGITS, MAX_MAC_DIGITS = 6, 12


@dataclass(frozen=True)
class SearchText:
    """What somebody typed, in every form that it is compared in."""

    text: str

    @property
    def words(self) -> Folded:
        """Without case and accents."""
        return Folded(Value(self.text.strip()))

    @property
    def address(self) -> str:
        """The address in it, as the database writes it, or a part of one with a separator; empty: neither. A prefix
        length, a port and a zone are no part of it."""
        text = self.text.strip()
        port = _PORT.match(text)
        if port:
            text = port["host"] or port["host6"]
        text = _PREFIX.sub("", text)
        try:
            found = ip_address(text)
        except ValueError:
            return text.lower() if _PART_OF_ADDRESS.match(text) else ""
        return str(found).partition("%")[0] if isinstance(found, IPv6Address) else str(found)

    @property
    def mac_digits(self) -> str:
        """The hexadecimal digits of a MAC address or of a part of one; empty: it is none."""
        digits = _MAC_SEPARATORS.sub("", self.text.strip()).upper()
        is_hexadecimal = bool(re.fullmatch(r"[0-9A-F]+", digits))
        return digits if is_hexadecimal and MIN_MAC_DIGITS <= len(digits) <= MAX_MAC_DIGITS else ""


def search_devices(devices: QuerySet[Device], text: str) -> QuerySet[Device]:
    """Devices by a part of their name, identity, serial number or address."""
    search = SearchText(text)
    rows = devices.annotate(
        folded_name=Folded("name"),
        folded_identity=Folded("identity"),
        folded_serial=Folded("serial"),
        address=Cast("management_address", CharField()),
    )
    words = search.words
    matches = (
        Q(folded_name__contains=words)
        | Q(folded_identity__contains=words)
        | Q(folded_serial__contains=words)
    )
    if search.address:
        matches |= Q(address__contains=search.address)
    elif text.strip().isdecimal():
        matches |= Q(address__startswith=text.strip())
    return rows.filter(matches)


def search_interfaces(devices: QuerySet[Device], text: str) -> QuerySet[Interface]:
    """Interfaces of these devices by a part of their name, comment or MAC address, with their devices."""
    search = SearchText(text)
    rows = Interface.objects.filter(device__in=devices.values("pk")).select_related("device")
    rows = rows.annotate(folded_name=Folded("name"), folded_comment=Folded("comment"))
    matches = Q(folded_name__contains=search.words) | Q(folded_comment__contains=search.words)
    if search.mac_digits:
        rows = rows.annotate(
            mac_digits=Replace("mac_address", Value(":"), Value(""), output_field=CharField())
        )
        matches |= Q(mac_digits__icontains=search.mac_digits)
    return rows.filter(matches)


def search_sites(sites: QuerySet[Site], text: str) -> QuerySet[Site]:
    """Sites by a part of their name or code."""
    words = SearchText(text).words
    rows = sites.annotate(folded_name=Folded("name"), folded_code=Folded("code"))
    return rows.filter(Q(folded_name__contains=words) | Q(folded_code__contains=words))
