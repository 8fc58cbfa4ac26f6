from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.http.errors import UrlRefused
from apps.core.http.urls import parse_url

GOOD = {
    "https://noc.example.net": ("https", "noc.example.net", 443, "/", "noc.example.net"),
    "HTTPS://NOC.Example.Net/A?b=%20": (
        "https",
        "noc.example.net",
        443,
        "/A?b=%20",
        "noc.example.net",
    ),
    "https://noc.example.net:8443/x": (
        "https",
        "noc.example.net",
        8443,
        "/x",
        "noc.example.net:8443",
    ),
    "https://noc.example.net.?q": ("https", "noc.example.net", 443, "/?q", "noc.example.net"),
    "http://10.1.2.3:80/": ("http", "10.1.2.3", 80, "/", "10.1.2.3"),
    "https://[2606:4700::1111]:444/": (
        "https",
        "2606:4700::1111",
        444,
        "/",
        "[2606:4700::1111]:444",
    ),
    "https://bücher.example/": (
        "https",
        "xn--bcher-kva.example",
        443,
        "/",
        "xn--bcher-kva.example",
    ),
    "https://my_host.corp/": ("https", "my_host.corp", 443, "/", "my_host.corp"),
}

BAD = {
    "": "url_malformed",
    "noc.example.net/x": "url_malformed",
    "//noc.example.net/x": "url_malformed",
    "https:noc.example.net": "url_malformed",
    "https:/noc.example.net": "url_malformed",
    "https://noc.example.net/a b": "url_malformed",
    "https://noc.example.net/a\r\nX: y": "url_malformed",
    "https://noc.example.net/a\x00": "url_malformed",
    "https://noc.example.net/\u00e9": "url_malformed",
    "https://noc.example.net/#frag": "url_malformed",
    " https://noc.example.net/": "url_malformed",
    "https://noc.example.net/\n": "url_malformed",
    "ftp://noc.example.net/": "url_scheme",
    "file:///etc/passwd": "url_scheme",
    "gopher://127.0.0.1:6379/_x": "url_scheme",
    "unix:///run/x": "url_scheme",
    "https://user@noc.example.net/": "url_userinfo",
    "https://user:pass@noc.example.net/": "url_userinfo",
    "https://noc.example.net:443@127.0.0.1/": "url_userinfo",
    "https://noc.example.net\\@127.0.0.1/": "url_userinfo",
    "https://noc.example.net\\.evil/": "url_host",
    "https://noc.example.net%00.evil/": "url_host",
    "https://127.0.0.1%2f.evil/": "url_host",
    "https://%31%32%37.0.0.1/": "url_host",
    "https://noc.example.net:/": "url_port",
    "https://noc.example.net:0/": "url_port",
    "https://noc.example.net:65536/": "url_port",
    "https://noc.example.net:+443/": "url_port",
    "https://noc.example.net:44 3/": "url_port",
    "https://noc.example.net:\u0664\u0664\u0663/": "url_port",
    "https://noc.example.net:443:80/": "url_port",
    "https:///x": "url_host",
    "https://./": "url_host",
    "https://a..b/": "url_host",
    "https://.a/": "url_host",
    "https://-a.example/": "url_host",
    "https://a.example../": "url_host",
    f"https://{'a' * 64}.example/": "url_host",
    "https://2130706433/": "url_host_number",
    "https://0x7f000001/": "url_host_number",
    "https://0x7f.0.0.1/": "url_host_number",
    "https://0177.0.0.1/": "url_host_number",
    "https://127.1/": "url_host_number",
    "https://127.0.1/": "url_host_number",
    "https://127.0.0.1./": "url_host_number",
    "https://127.0.0.01/": "url_host_number",
    "https://0/": "url_host_number",
    "https://0x/": "url_host_number",
    "https://1.2.3.4.5/": "url_host_number",
    "https://a.0x7f/": "url_host_number",
    "https://256.0.0.1/": "url_host",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/": "url_host_disguised",
    "https://\uff11\uff12\uff17.0.0.1/": "url_host_disguised",
    "https://127\u30020\u30020\u30021/": "url_host_disguised",
    "https://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/": "url_host_disguised",
    "https://loc\u00adalhost/": "url_host_disguised",
    "https://[::1/": "url_host",
    "https://[::1]x/": "url_host",
    "https://[::ffff:127.0.0.1]/": "url_host",
    "https://[fe80::1%25eth0]/": "url_host",
    "https://[fe80::1%eth0]/": "url_host",
    "https://[127.0.0.1]/": "url_host",
    "https://[]/": "url_host",
    "https://::1/": "url_port",
    "https://[::1]:/": "url_port",
    f"https://noc.example.net/{'a' * 2048}": "url_too_long",
}


@pytest.mark.parametrize(("url", "parts"), list(GOOD.items()))
def test_takes_a_plain_url_apart(url, parts):
    target = parse_url(url)

    assert (target.scheme, target.host, target.port, target.path, target.authority) == parts


@pytest.mark.parametrize(("url", "code"), list(BAD.items()))
def test_refuses_what_is_not_plain(url, code):
    with pytest.raises(UrlRefused) as refusal:
        parse_url(url)

    assert refusal.value.code == code
    assert refusal.value.permanent


@given(st.text(alphabet="https:/.0127x@[]%\\#?aé①。-_ \r\n\t", max_size=40))
def test_any_text_is_either_refused_or_read_without_ambiguity(rest):
    try:
        target = parse_url("https://" + rest)
    except UrlRefused:
        return

    assert target.host.isascii()
    assert not set(target.host) & set("@/\\%#? \r\n\t")
    assert 1 <= target.port <= 65535
    if target.literal is None:
        assert not target.host.rpartition(".")[2].isdigit()
    else:
        assert target.literal == ip_address(target.host)
