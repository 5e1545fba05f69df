"""The engine's API as this backend uses it: the `docker` SDK behind types, its errors turned into ours.

The SDK has no types and takes 0.3 s to import, so this is the one module that knows it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig
from msgspec import convert

from bottle_docker.address import Address
from bottle_docker.archive import Member, unpack_archive
from bottle_docker.build import build_image
from bottle_docker.cures import explained
from bottle_docker.listing import Container, Layer, Network, Volume
from bottle_docker.probe import version_of
from bottle_docker.stream import Stream, local_socket, open_stream
from claude_bottle.errors import BottleError, LaunchError, NameTakenError, NotFoundError, UnavailableError

__all__ = ["Engine"]

TIMEOUT = 60
"""Seconds in which the engine must answer a request that waits for nothing inside."""

CONFLICT = 409


class Engine:
    """One engine. Its methods may be called from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        tls = address.tls
        config = TLSConfig(client_cert=tls.pair, ca_cert=tls.ca, verify=tls.verify) if tls else False
        # An engine older than the SDK's own idea of one does too. Where nobody listens the SDK leaves its socket open.
        version = str(version_of(address).get("ApiVersion"))
        path = local_socket(address)
        with answered(address):
            self._client: Any = docker.APIClient(
                base_url=f"unix://{path}" if path else address.url,
                tls=config,
                version=version,
                timeout=TIMEOUT,
                max_pool_size=32,
            )
            self._client.trust_env = False  # REQUESTS_CA_BUNDLE and HTTPS_PROXY are about other hosts than an engine

    @property
    def api(self) -> tuple[int, ...]:
        """The version of the API that is spoken, such as (1, 41)."""
        return tuple(int(part) for part in str(self._client.api_version).split("."))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Images

    def image_id(self, name: str) -> str | None:
        """Return the id of an image that is here; None if it is not."""
        try:
            with answered(self.address):
                return str(self._client.inspect_image(name)["Id"])
        except NotFoundError:
            return None

    def build(self, context: bytes, tag: str, ended: Event) -> Iterator[str]:
        """Build an image, see `build_image`."""
        return build_image(self.address, str(self._client.api_version), context, tag, ended)

    def pull(self, name: str, ended: Event) -> Iterator[str]:
        """Fetch an image from its registry, and yield what the engine says; LaunchError once `ended` is set."""
        repository, _, tag = name.partition("@")  # a digest, which the engine's API takes for a tag
        if not tag:
            repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
        with answered(self.address):
            for line in self._client.pull(repository, tag=tag, stream=True, decode=True):
                if ended.is_set():
                    raise LaunchError("given up")
                if "error" in line:
                    raise LaunchError(str(line["error"]))
                yield str(line.get("status", ""))

    def dangling_images(self, label: str) -> list[Layer]:
        """Return the images with a label (`key` or `key=value`) that no name and no other image leads to."""
        with answered(self.address):
            found = convert(self._client.images(filters={"dangling": True, "label": label}, all=True), list[Layer])
            parents = {image["ParentId"] for image in self._client.images(all=True)}
        return [layer for layer in found if layer.id not in parents]

    def remove_image(self, image: str) -> None:
        """Remove an image, and the nameless layers that only it was made of. Nothing if it is gone or in use."""
        try:
            with answered(self.address):
                self._client.remove_image(image)
        except NotFoundError:
            return

    # Networks

    def networks(self, label: str | None = None) -> list[Network]:
        """Return the networks, all or those with a label (`key` or `key=value`)."""
        with answered(self.address):
            found = self._client.networks(filters={"label": label} if label else None)
            return convert(found, list[Network], strict=False)

    def create_network(self, name: str, subnet: str, options: Mapping[str, str], labels: Mapping[str, str]) -> str:
        """Make a bridge, internal if it is made with options, and return its id; NameTakenError if its name is in use.

        LaunchError with the engine's words if the subnet overlaps another one's.
        """
        ipam = {"Driver": "default", "Config": [{"Subnet": subnet}]}
        with answered(self.address):
            made = self._client.create_network(
                name,
                driver="bridge",
                options=dict(options),
                ipam=ipam,
                check_duplicate=True,
                internal=bool(options),
                labels=dict(labels),
                enable_ipv6=False,
            )
        return str(made["Id"])

    def connect(self, network: str, container: str, address: str) -> None:
        """Give a container a second network and its address there."""
        with answered(self.address):
            self._client.connect_container_to_network(container, network, ipv4_address=address)

    def joined(self, network: str) -> bool:
        """Say whether a container that runs is on a network; not if that is gone."""
        try:
            with answered(self.address):
                return bool(self._client.inspect_network(network)["Containers"])
        except NotFoundError:
            return False

    def remove_network(self, network: str) -> None:
        """Remove a network; nothing if it is gone."""
        try:
            with answered(self.address):
                self._client.remove_network(network)
        except NotFoundError:
            return

    # Containers

    def containers(self, label: str, *, stopped: bool = True) -> list[Container]:
        """Return the containers with a label (`key` or `key=value`)."""
        with answered(self.address):
            return convert(self._client.containers(all=stopped, filters={"label": label}), list[Container])

    def create(self, name: str, body: Mapping[str, object]) -> str:
        """Make a container, and return its id; NameTakenError if its name is in use."""
        with answered(self.address):
            return str(self._client.create_container_from_config(dict(body), name)["Id"])

    def start(self, container: str) -> None:
        """Start a container."""
        with answered(self.address):
            self._client.start(container)

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to a container's first process; nothing if it does not run."""
        try:
            with answered(self.address):
                self._client.kill(container, signal)
        except (NotFoundError, NameTakenError):
            return

    def exit_code(self, container: str) -> int | None:
        """Return a container's exit code; None if it runs. NotFoundError if it is gone."""
        with answered(self.address):
            state = self._client.inspect_container(container)["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def first_process(self, container: str) -> int:
        """Return the pid of a container's first process, as the engine's machine counts."""
        with answered(self.address):
            return int(self._client.inspect_container(container)["State"]["Pid"])

    def running(self, container: str) -> bool:
        """Say whether a container is there and runs."""
        try:
            return self.exit_code(container) is None
        except NotFoundError:
            return False

    def remove(self, container: str) -> None:
        """Kill and remove a container with its volumes; nothing if it is gone, or going."""
        try:
            with answered(self.address):
                self._client.remove_container(container, v=True, force=True)
        except (NotFoundError, NameTakenError):
            return

    def put_archive(self, container: str, path: str, archive: bytes) -> None:
        """Unpack a tar archive in a folder of a container."""
        with answered(self.address):
            self._client.put_archive(container, path, archive)

    def get_archive(self, container: str, path: str) -> Iterator[Member]:
        """Yield what lies at a path of a container, names as the archive has them; NotFoundError if nothing does."""
        with answered(self.address):
            chunks, _ = self._client.get_archive(container, path)
            data = b"".join(chunks)
        return unpack_archive(data)

    def attach(self, container: str, *, stdin: bool = False) -> Stream:
        """Return the stream of a container's own output, and of its input; to be opened before it starts."""
        query = f"stream=1&stdout=1&stderr=1&stdin={int(stdin)}"
        return open_stream(self.address, f"/v{self._client.api_version}/containers/{container}/attach?{query}")

    # Commands

    def create_exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str,
        stdin: bool,
        tty: bool,
        env: Mapping[str, str],
        cwd: str,
    ) -> str:
        """Describe a command to a running container, and return its id."""
        with answered(self.address):
            made = self._client.exec_create(
                container, list(argv), stdin=stdin, tty=tty, user=user, environment=dict(env), workdir=cwd or None
            )
        return str(made["Id"])

    def start_exec(self, exec_id: str, *, tty: bool = False) -> Stream:
        """Start a command, and return its stream."""
        path = f"/v{self._client.api_version}/exec/{exec_id}/start"
        return open_stream(self.address, path, {"Detach": False, "Tty": tty})

    def exec_code(self, exec_id: str) -> int | None:
        """Return a command's exit code; None if it runs."""
        with answered(self.address):
            found = self._client.exec_inspect(exec_id)
        return None if found["Running"] else int(found["ExitCode"])

    def resize_exec(self, exec_id: str, lines: int, columns: int) -> None:
        """Give a command's terminal a size."""
        with answered(self.address):
            self._client.exec_resize(exec_id, height=lines, width=columns)

    # The engine itself

    def volumes(self, label: str) -> list[Volume]:
        """Return the volumes with a label (`key` or `key=value`)."""
        with answered(self.address):
            return convert(self._client.volumes(filters={"label": label})["Volumes"] or [], list[Volume])

    def remove_volume(self, volume: str) -> None:
        """Remove a volume; nothing if it is gone."""
        try:
            with answered(self.address):
                self._client.remove_volume(volume, force=True)
        except NotFoundError:
            return


@contextmanager
def answered(address: Address) -> Generator[None]:
    """Turn what the SDK raises into our errors, with the engine's own words and, where one is known, the cure."""
    try:
        yield
    except NotFound as error:
        raise NotFoundError(words(error)) from error
    except APIError as error:
        if error.status_code == CONFLICT:
            raise NameTakenError(words(error)) from error
        raise LaunchError(*explained(words(error))) from error
    except requests.exceptions.Timeout as error:
        hint = "look at the engine's log; `bottle cleanup` removes what is left once it answers"
        raise UnavailableError(f"the engine at {address.url} did not answer within {TIMEOUT:g} s", hint) from error
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        if isinstance(error, BottleError):
            raise
        hint = "is it running? `bottle doctor` says more; `bottle cleanup` removes what is left once it answers"
        raise UnavailableError(f"the engine at {address.url} does not answer", hint) from error


def words(error: APIError) -> str:
    """Return the engine's own words."""
    return str(error.explanation or error).strip()
