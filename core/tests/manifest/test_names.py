"""The rules for names, networks and paths: each refuses what would mean something else further on."""

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.manifest import names


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("agent_name", ["reviewer", "Code Review 2", "a.b_c-d"], ["", "-x", " x", "a/b", "a\n", "é", "x" * 41, ".."]),
        ("plugin_name", ["docker", "my-plugin", "k8s"], ["", "Docker", "-x", "../x", "a b", "a:b"]),
        ("env_name", ["A", "_a1", "LOG_LEVEL"], ["", "1A", "A-B", "A=B", "A B", "A\n", "Ä"]),
        ("skill_name", ["pdf", "_x", "a.b"], ["", "..", ".", ".hidden", "a/b", "../x", "/etc", "-x", "a\\b", "a\0"]),
        ("runtime_name", ["runsc", "io.containerd.runsc.v1"], ["", "-x", "a b", "/bin/x"]),
        ("user_name", ["git", "deploy.user"], ["", "-oProxyCommand=x", "a b", "a@b", "a\nb"]),
        ("distribution_name", ["bottle-flyio", "A.b_c", "x"], ["", "-x", "x-", "a b", "a==1"]),
        ("one_line", ["GitHub token?", "Schlüssel"], ["", "a\nb", "\x1b[2J", "a\u202eb", "\x7f", "a\u2028b"]),
        ("host_path", ["~", "~/x", "a/b", "/x y", "."], ["", "~root/x", "a\0b", "a\nb"]),
        ("paragraphs", ["", "a\n\tb"], ["\x1b]0;x\x07", "a\0b", "\r", "\x9b2J"]),
        (
            "private_network",
            ["10.0.0.0/8", "10.1.2.3/32", "fd00::/8"],
            ["", "10.1.2.3/8", "10.0.0.0/33", "10.1/16"],
        ),
        ("keyring_entry", ["s/n", "my service/some/name"], ["", "s", "/n", "s/", " s/n", "s/ n", "s\n/n", "s/n\x1b"]),
        (
            "header_name",
            ["authorization", "x-api-key"],
            ["", "a b", "a:b", "a\n", "é", "Host", "content-length", "Transfer-Encoding", "Proxy-Authorization"],
        ),
        (
            "header_format",
            ["{}", "Bearer {}", "Basic user:{}"],
            ["", "Bearer", "{}{}", "{} ", " {}", "Bearer {}\r\nX-Evil: 1", "é{}"],
        ),
        ("dial_address", ["192.0.2.1:443", "[::1]:8443"], ["", "192.0.2.1", "name:443", "::1", "*.x:1", "1.2.3.4:0"]),
    ],
)
def test_a_rule_takes_and_refuses(rule: str, good: list[str], bad: list[str]) -> None:
    """What is good stays as it is; what would leave a folder, an option, a line or a file does not pass."""
    check = getattr(names, rule)
    assert [check(text) for text in good] == good
    for text in bad:
        with pytest.raises(BottleError):
            check(text)


def test_an_address_alone_is_a_network_of_one() -> None:
    """The one form of a network has its length."""
    assert names.private_network("10.1.2.3") == "10.1.2.3/32"


def test_a_network_with_host_bits_is_told_which_it_is() -> None:
    """The slip is shown with both readings, never rounded in silence."""
    with pytest.raises(BottleError) as caught:
        names.private_network("10.1.2.3/8")
    assert caught.value.hint == "write 10.0.0.0/8, the network of this address"
