from ipaddress import ip_address

import pytest

from apps.core.http.addresses import Kind, classify

NEVER_TEXT = """
0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 169.254.170.2 169.254.169.123 100.100.100.200
168.63.129.16 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 :: ::2 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:169.254.169.254
::ffff:0:127.0.0.1 ::127.0.0.1 ::169.254.169.254 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1
64:ff9b::169.254.169.254 64:ff9b::100.100.100.200 64:ff9b::0.0.0.0 64:ff9b:1::7f00:1 100::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1
2002:a9fe:a9fe::1 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 5f00::1 fe80::1 fe80::a9fe:a9fe
fec0::1 ff02::1 ff05::2 fd00:ec2::254 fd20:ce::254 fd00:42::42 4000::1 8000::1
2a00:1450:4001::5efe:7f00:1 2a00:1450:4001:0:0:5efe:a9fe:a9fe 2a00:1450:4001::200:5efe:a00:1
"""
NEVER = NEVER_TEXT.split()

OPENED_BY_OPERATOR = {
    "127.0.0.1": Kind.LOOPBACK,
    "127.255.255.254": Kind.LOOPBACK,
    "::1": Kind.LOOPBACK,
    "10.0.0.1": Kind.PRIVATE,
    "10.255.255.255": Kind.PRIVATE,
    "172.16.0.1": Kind.PRIVATE,
    "172.31.255.255": Kind.PRIVATE,
    "192.168.0.1": Kind.PRIVATE,
    "100.64.0.1": Kind.PRIVATE,
    "100.127.255.255": Kind.PRIVATE,
    "fc00::1": Kind.PRIVATE,
    "fdff::1": Kind.PRIVATE,
    "64:ff9b::8.8.8.8": Kind.TRANSLATED,
}

PUBLIC_TEXT = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255
192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2606:4700::1111 2a00:1450:4001:830::200e
2001:4860:4860::8888 2003::1 2620:fe::fe 3ffd::1
"""
PUBLIC = PUBLIC_TEXT.split()


@pytest.mark.parametrize("text", NEVER)
def test_nobody_can_open(text):
    assert classify(ip_address(text)).kind in {Kind.SPECIAL, Kind.METADATA}


@pytest.mark.parametrize(("text", "kind"), list(OPENED_BY_OPERATOR.items()))
def test_the_operator_can_open(text, kind):
    assert classify(ip_address(text)).kind is kind


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_beside_special_ranges_are_public(text):
    assert classify(ip_address(text)).kind is Kind.PUBLIC


def test_embedded_metadata_addresses_are_metadata():
    assert classify(ip_address("64:ff9b::169.254.169.254")).kind is Kind.METADATA
