"""One bottle's name, folder and uids on this machine, and the order in which all of it is taken down."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.cgroup import Parents, add_process, find_parents, make_cgroups, remove_cgroups
from bottle_bwrap.channel import Channel, direct
from bottle_bwrap.etc import HOME, USER
from bottle_bwrap.limits import find_limits
from bottle_bwrap.probe import working_program
from bottle_bwrap.programs import Installed, install
from bottle_bwrap.record import Process, Record, claim_folder, remove_folder, write_record
from bottle_bwrap.relay import Relay
from bottle_bwrap.sandbox import PORT, Content, Sandbox, login_shell, start_sandbox
from bottle_bwrap.section import BwrapSection, bytes_of
from bottle_bwrap.sidecar import ProcessSidecar, start_sidecar
from bottle_bwrap.trust import TrustFiles
from bottle_bwrap.uids import Lease, lease_uids
from claude_bottle.errors import LaunchError
from claude_bottle.seam.environ import BIN, ca_environment, proxy_environment
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.part import Mount, Program
from claude_bottle.seam.sidecar import Address, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs
from claude_bottle.seam.witness import open_witness, own_addresses

__all__ = ["BwrapSite", "Wants", "open_site"]

ROOT = "proxy"
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SPARE = 16  # processes beside the agent's own that its control group must have room for


class Wants(NamedTuple):
    """The agent's programs, how the user is told of work that takes long, and what of this machine is seen inside."""

    programs: Sequence[Program]
    say: Callable[[str], None]
    mounts: Sequence[Mount] = ()


def say_nothing(_line: str) -> None:
    """Tell nobody: nothing takes long."""


NOTHING = Wants((), say_nothing)


class BwrapSite:
    """What `open_site` made. Everything that is made through it registers its own undoing first."""

    def __init__(self, stack: ExitStack, folder: Path, record: Record, leases: Sequence[Lease], wants: Wants) -> None:
        self.folder = folder
        self.record = record
        self._uid, self._proxy_uid = (leases[0].uid, leases[1].uid) if leases else (None, None)
        self._trust = TrustFiles(leases[0].folder if leases else folder)
        self._trust.make()
        self._root = (leases[1].folder if leases else folder) / ROOT  # its uid finds it by its path
        self._root.mkdir(mode=0o700)
        if self._proxy_uid is not None:
            os.chown(self._root, self._proxy_uid, self._proxy_uid)
        self._stack = stack
        self._sidecars: list[ProcessSidecar] = []
        self._sandbox: Sandbox | None = None
        self._wants = wants
        self._programs: tuple[Installed, ...] = ()

    @property
    def runs(self) -> Runs:
        """See `seam.sidecar.Site`."""
        return "process"

    @property
    def root(self) -> str:
        """See `seam.sidecar.Site`."""
        return str(self._root)

    @property
    def listen(self) -> Listen:
        """See `seam.sidecar.Site`: the listener is made inside and comes on descriptor 3."""
        return Listen("fd", "127.0.0.1", PORT)

    def run(self, spec: SidecarSpec) -> ProcessSidecar:
        """See `seam.sidecar.Site`. It gets its listener when the bottle starts, which must be later."""
        if self._sandbox is not None:
            raise LaunchError("the bottle's listener has been handed out already")
        groups = self._make_groups(find_parents(), f"-proxy-{len(self._sidecars)}", spec.memory)
        if spec.way == "tcp":
            from bottle_bwrap.apart import start_apart  # noqa: PLC0415 - not for a proxy that takes a listener

            sidecar = start_apart(spec, PORT, self._root, self._proxy_uid)
        else:
            sidecar = start_sidecar(spec, self._root, self._proxy_uid)
        self._stack.callback(sidecar.stop)
        with suppress(ProcessLookupError):  # it has ended, which `wait` says better
            add_process(groups, sidecar.process.pid)
        self._sidecars.append(sidecar)
        self._note(sidecar.process.pid)
        return sidecar

    def settle(self) -> None:
        """See `seam.sidecar.Site`: wait for the agent's programs, which the first launch that wants them fetches."""
        self._programs = tuple(install(program, self._wants.say) for program in self._wants.programs)

    def witness(self) -> AbstractContextManager[Sequence[Address]]:
        """See `seam.sidecar.Site`."""
        return open_witness(own_addresses())

    def start(self, section: BwrapSection, environment: Mapping[str, str]) -> BwrapBottle:
        """Start the sandbox, hand its listener to the sidecars, and return the bottle."""
        limits = find_limits(section, dropped=self._uid is not None)
        groups = self._make_groups(limits.parents, "", bytes_of(section.memory), section.processes + SPARE)
        content = Content(self._trust, self._programs, self._wants.mounts)
        sandbox = start_sandbox(working_program(), section, content, self._uid, limits.processes)
        self._sandbox = sandbox
        self._stack.callback(sandbox.close)
        sandbox.accept_listener()
        with sandbox.explaining():
            add_process(groups, sandbox.pid)
        self._note(sandbox.process.pid, sandbox.pid)
        self._hand_over(sandbox)
        channel = Channel(self.record.name, direct(sandbox.control))
        with sandbox.explaining():
            channel.take_environment({**base_environment(), **environment})
        self._stack.callback(Relay(self.folder, sandbox.control).close)
        return BwrapBottle(
            self.record,
            channel,
            alive=sandbox.alive,
            end=self.close,
            trust=self._trust,
            keep=self._stack.callback,
        )

    def close(self) -> None:
        """See `seam.sidecar.Site`: in reverse order, each step whatever became of the others."""
        self._stack.close()

    def _hand_over(self, sandbox: Sandbox) -> None:
        if sandbox.listener is not None:
            with sandbox.listener as listener:  # ours is closed: without its proxy the bottle is refused at once
                for sidecar in self._sidecars:
                    sidecar.hand_over(listener)

    def _make_groups(self, parents: Parents, what: str, memory: int, processes: int | None = None) -> tuple[Path, ...]:
        """Make the control groups that everything in the bottle or its proxy will be in, where this machine has any."""
        name = f"{self.record.name}-{self.record.launch.label}{what}"
        groups = tuple(dict.fromkeys(parent / name for parent in parents.folders.values()))
        self._write(msgspec.structs.replace(self.record, cgroups=(*self.record.cgroups, *map(str, groups))))
        self._stack.callback(remove_cgroups, groups)
        make_cgroups(parents, name, memory, processes)
        return groups

    def _note(self, *pids: int) -> None:
        found = tuple(Process.find(pid) for pid in pids)
        self._write(msgspec.structs.replace(self.record, processes=self.record.processes + found))

    def _write(self, record: Record) -> None:
        self.record = record
        write_record(self.folder, record)


def open_site(slug: str, bottle: str, launch: Launch, wants: Wants = NOTHING) -> BwrapSite:
    """Claim a name and a folder, and where we are root a uid for the sandbox and another for the proxy."""
    with ExitStack() as stack:
        leases = lease_uids(2) if os.getuid() == 0 else ()
        for lease in leases:
            stack.callback(lease.close)
        folder, record = claim_folder(slug, bottle, launch)
        stack.callback(remove_folder, folder)
        undo = ExitStack()
        site = BwrapSite(undo, folder, record, leases, wants)
        undo.push(stack.pop_all())
        return site


def base_environment() -> Mapping[str, str]:
    """Return the variables that every command in a bottle has, before its own."""
    return {
        "PATH": PATH,
        "HOME": HOME,
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": login_shell(),
        "LANG": "C.UTF-8",
        **proxy_environment("127.0.0.1", PORT),
        **ca_environment(),
    }
