"""The policy of one bottle: which hosts and ports are open, at which level, and why anything else is not."""

from collections.abc import Iterable, Sequence

from bottle_mitmproxy.policy.addresses import Network, why_refused
from bottle_mitmproxy.policy.decision import Decision, Rule
from bottle_mitmproxy.policy.hosts import HostError, is_literal, parse_authority, parse_pattern
from claude_bottle.seam.levels import HostRule

__all__ = ["Policy"]

USUAL_PORTS = frozenset({80, 443})


class Policy:
    """Decisions from rules: exact hosts before wildcards, longer wildcards before shorter ones.

    `name` is the bottle's, as it stands in the commands that refusals suggest. Immutable.
    """

    def __init__(self, rules: Iterable[HostRule], private: Sequence[Network] = (), name: str = "NAME") -> None:
        self._rules = {parse_pattern(rule.host): rule for rule in rules}
        self._private = tuple(private)
        self._name = name

    def find(self, host: str) -> HostRule | None:
        """Return the most specific rule for a canonical host. `*.x` holds at any depth below x, never for x."""
        if is_literal(host) or host in self._rules:
            return self._rules.get(host)
        labels = host.split(".")
        wildcards = ("*." + ".".join(labels[at:]) for at in range(1, len(labels)))
        return next((self._rules[wildcard] for wildcard in wildcards if wildcard in self._rules), None)

    def target(self, host: str, port: int, *, plain: bool = False) -> Decision:
        """Decide on a canonical host and a port. `plain`: HTTP without TLS, which is never opaque."""
        rule = self.find(host)
        if rule is None:
            return self._closed_host(host, port)
        if port not in rule.ports and port not in rule.raw_ports:
            return self._closed_port(host, port)
        if is_literal(host) and (refused := self.address(host, host, port)):
            return refused
        level = rule.plain if plain else rule.level
        return Decision(verdict="allow", host=host, port=port, level=level, raw=port in rule.raw_ports)

    def connect(self, authority: str) -> Decision:
        """Decide on the target of a CONNECT request, as it came over the wire. Its Host header plays no part."""
        try:
            host, port = parse_authority(authority)
        except HostError as error:
            return self.unreadable(authority, str(error))
        if port is None:
            return self.unreadable(authority, "CONNECT needs HOST:PORT")
        return self.target(host, port)

    def agree(self, what: str, authority: str | None, host: str, port: int) -> Decision | None:
        """Refuse a name that differs from the host of the connection; `what` says where it was written.

        A missing name agrees, and so does a missing port.
        """
        if authority is None:
            return None
        try:
            named, named_port = parse_authority(authority)
        except HostError as error:
            return self.refuse(host, port, 400, "host", f"the {what} cannot be read: {error}")
        if named == host and named_port in {None, port}:
            return None
        return self.refuse(
            host, port, 421, "mismatch", f"the {what} names {authority.lower()}, the connection {host}:{port}"
        )

    def address(self, address: str, host: str, port: int) -> Decision | None:
        """Refuse an address that is not on the public Internet and not among the private ones that are listed."""
        kind = why_refused(address, self._private)
        if kind is None:
            return None
        size = 128 if ":" in address else 32
        return self.refuse(
            host,
            port,
            403,
            "address",
            f"{host} is at {address}, a {kind} address" if host != address else f"{host} is a {kind} address",
            line=f"egress.private_addresses: [{address}/{size}]",
        )

    def credential(self, host: str, port: int, issuer: str, where: str) -> Decision:
        """Refuse a request that carries something shaped like a credential."""
        return self.refuse(
            host,
            port,
            403,
            "dlp",
            f"the {where} carries what looks like {issuer}",
            line=f'egress.inspect: {{"{host}": warn}}',
        )

    def refuse(
        self, host: str, port: int, status: int, rule: Rule, reason: str, fix: str = "", line: str = ""
    ) -> Decision:
        """Return a refusal."""
        return Decision(
            verdict="deny", host=host, port=port, status=status, rule=rule, reason=reason, fix=fix, line=line
        )

    def _closed_host(self, host: str, port: int) -> Decision:
        entry = host if port in USUAL_PORTS else _with_port(host, port)
        return self.refuse(
            host,
            port,
            403,
            "allowlist",
            f"host {host} is not in this bottle's egress allowlist",
            fix=f"bottle allow {self._name} {entry}",
            line=f'egress.allowlist: ["{entry}"]',
        )

    def _closed_port(self, host: str, port: int) -> Decision:
        return self.refuse(
            host,
            port,
            403,
            "port",
            f"port {port} of {host} is not open",
            fix=f"bottle allow {self._name} {_with_port(host, port)}",
            line=f'egress.allowlist: ["{_with_port(host, port)}"]',
        )

    def unreadable(self, authority: str, reason: str) -> Decision:
        """Refuse a text that names no host."""
        shown = authority[:100].encode("ascii", "backslashreplace").decode()
        return self.refuse(
            shown if shown.isprintable() else repr(shown), 0, 400, "host", f"the host cannot be read: {reason}"
        )


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
