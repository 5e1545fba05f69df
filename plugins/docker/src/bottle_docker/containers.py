"""The bodies of the two containers, as the engine's API takes them."""

from collections.abc import Mapping, Sequence

from bottle_docker.execs import ENV_FILE
from bottle_docker.labels import Mark
from bottle_docker.networks import Segment
from bottle_docker.seccomp import seccomp_profile
from bottle_docker.section import DockerSection, bytes_of
from bottle_docker.sidecar import ROOT, UID
from claude_bottle.seam.environ import BIN, BUNDLE, CA_FILE, ca_environment, proxy_environment
from claude_bottle.seam.part import Mount
from claude_bottle.seam.sidecar import SidecarSpec

__all__ = ["CA_FOLDER", "CERTS", "HOME", "PORT", "PROXY", "WORKSPACE", "agent_body", "proxy_body"]

PROXY, PORT = "proxy", 3128
HOME, WORKSPACE = "/home/agent", "/workspace"
CERTS, CA_FOLDER = BUNDLE.rpartition("/")[0], CA_FILE.rpartition("/")[0]
SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108 - the bottle's own
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NANO = 1_000_000_000

# The first process reads the bottle's environment from its stdin, which is its launcher's connection, and then
# waits for that to close: whatever becomes of the launcher, the bottle ends with it.
FIRST = (
    f'read -r size && dd bs=1 count="$size" of={ENV_FILE}.new 2>/dev/null && mv {ENV_FILE}.new {ENV_FILE} '
    "&& echo ready && exec {rest} >/dev/null"
)


def agent_body(
    image: str,
    name: str,
    segment: Segment,
    section: DockerSection,
    mark: Mark,
    runtime: str | None,
    mounts: Sequence[Mount] = (),
) -> dict[str, object]:
    """Return the agent's container: it can write in its home, the workspace and memory, and reach the proxy alone."""
    bound = {mount.target for mount in mounts}
    first = FIRST.format(rest="sleep infinity" if mark.detach else "cat")
    memory = bytes_of(section.memory)
    return {
        "Image": image,
        "Hostname": name[:63],
        "User": mark.agent,
        "WorkingDir": WORKSPACE,
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": [first],
        "Env": [f"{key}={value}" for key, value in base_environment().items()],
        "Labels": mark.labels("agent"),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            **confined(section.processes, memory),
            "NanoCpus": int(section.cpus * NANO),
            "Init": True,
            "ReadonlyRootfs": section.read_only,
            "Runtime": runtime or "",
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            "Tmpfs": in_memory(bytes_of(section.tmp), mark.agent),
            "Mounts": [
                *(volume(path, mark) for path in (HOME, WORKSPACE, CERTS, CA_FOLDER) if path not in bound),
                *(bind(mount) for mount in mounts),
            ],
            "Dns": ["127.0.0.1"],
            "DnsOptions": ["timeout:1", "attempts:1"],
            "ExtraHosts": [f"{PROXY}:{segment.proxy}"],
            "NetworkMode": segment.network,
        },
        "NetworkingConfig": attached(segment.network, segment.agent),
    }


def in_memory(size: int, agent: str) -> Mapping[str, str]:
    """Return the places of the agent's container that no disk has, `size` bytes of each where it may write."""
    uid, _, gid = agent.partition(":")
    return {
        **dict.fromkeys(SCRATCH, f"rw,nosuid,nodev,exec,mode=1777,size={size}"),
        "/run": "rw,nosuid,nodev,noexec,mode=0755,size=1m",
        "/run/bottle": f"rw,nosuid,nodev,noexec,mode=0755,uid={uid},gid={gid},size=4m",
    }


def proxy_body(image: str, spec: SidecarSpec, outside: Segment, mark: Mark) -> dict[str, object]:
    """Return the proxy's container on its network outside; it can write in its root alone."""
    return {
        "Image": image,
        "User": f"{UID}:{UID}",
        "WorkingDir": "/",
        "Entrypoint": [spec.argv[0]],
        "Cmd": list(spec.argv[1:]),
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "Labels": mark.labels("proxy"),
        "OpenStdin": bool(spec.stdin),
        "StdinOnce": bool(spec.stdin),
        "AttachStdin": bool(spec.stdin),
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            **confined(256, spec.memory),
            "Init": True,  # a first process without a handler of its own would not be ended by a signal
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true"],
            "Mounts": [volume(ROOT, mark)],
            "ExtraHosts": [f"{name}:{address}" for name, address in spec.hosts],
            "NetworkMode": outside.network,
        },
        "NetworkingConfig": attached(outside.network, outside.proxy),
    }


def confined(processes: int, memory: int) -> dict[str, object]:
    """Return what holds for both: no capability, limits, and no record of what is written to stdout."""
    return {
        "CapDrop": ["ALL"],
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": processes,
        "LogConfig": {"Type": "none", "Config": {}},
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
    }


def attached(network: str, address: str) -> dict[str, object]:
    """Return a container's place in its first network."""
    return {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}}


def volume(path: str, mark: Mark) -> dict[str, object]:
    """Return a volume without a name, which goes when its container does; it begins with what the image has there."""
    return {"Type": "volume", "Target": path, "VolumeOptions": {"Labels": mark.labels("volume")}}


def bind(mount: Mount) -> dict[str, object]:
    """Return a mount of this machine's; the engine makes them by their depth, which is the plan's order too."""
    return {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": not mount.write}


def base_environment() -> Mapping[str, str]:
    """Return the variables that every command in a bottle has, before its own."""
    return {
        "PATH": PATH,
        "HOME": HOME,
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        **proxy_environment(PROXY, PORT),
        **ca_environment(),
    }
