"""The files of /etc that a bottle has of its own, as data; the host's own are never shown."""

from collections.abc import Mapping

__all__ = ["GID", "HOME", "HOSTNAME", "UID", "USER", "WORKSPACE", "etc_files"]

UID = GID = 1000
USER = "agent"
HOME = "/home/agent"
WORKSPACE = "/workspace"
HOSTNAME = "bottle"


def etc_files(shell: str) -> Mapping[str, bytes]:
    """Return path and content of each generated file."""
    texts = {
        "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n{USER}:x:{UID}:{GID}:{USER}:{HOME}:{shell}\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\n{USER}:x:{GID}:\nnogroup:x:65534:\n",
        "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
        "hostname": f"{HOSTNAME}\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "resolv.conf": "",
    }
    return {f"/etc/{name}": text.encode() for name, text in texts.items()}
