"""What a bottle on this machine's own tree sees of it: nothing."""

import os
from pathlib import Path

from e2e_user import Bottle


def test_there_is_no_interface_but_loopback(bottle: Bottle) -> None:
    """N8: no other interface, no route and no raw socket, for IPv6 neither."""
    names = [line.partition(":")[0].strip() for line in bottle.exec("cat", "/proc/net/dev").out.splitlines()[2:]]
    assert names == ["lo"]
    assert bottle.exec("cat", "/proc/net/route").out.splitlines()[1:] == []
    script = "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)"
    assert "PermissionError" in bottle.exec("python3", "-c", script).err
    script = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"
    assert "Error" in bottle.exec("python3", "-c", script).err


def test_nothing_of_the_host_is_there(bottle: Bottle) -> None:
    """No file, variable, user or process of the host is inside, where its own /usr is."""
    user = bottle.user
    (user.home / "diary.txt").write_text("for nobody else")
    for path in (user.home / "diary.txt", user.run, Path(__file__), "/etc/shadow", "/etc/machine-id", "/sys", "/root"):
        assert Path(path).exists(), f"a probe that could not have worked: {path}"
        assert bottle.exec("ls", "-d", str(path)).code == 2, path
    inside = bottle.exec("cat", "/proc/1/environ", "/proc/self/environ")
    assert "XDG_STATE_HOME" not in inside.out
    assert bottle.exec("id").out == "uid=1000(agent) gid=1000(agent) groups=1000(agent)\n"
    pids = bottle.sh("echo /proc/[0-9]*").out.split()
    assert len(pids) < 6
    assert f"/proc/{os.getpid()}" not in pids
