"""Keeps the workers of a local head to this machine.

A replica opens a port for calls between deployments on every interface, and no setting of Ray's
changes that. Ray calls `keep` in each worker that starts, before a replica opens anything, where
`WORKER_HOOK` is in the environment of the node.
"""

from __future__ import annotations

from typing import Any

from ray._common import tls_utils

HOST = "127.0.0.1"
_EVERYWHERE = "[::]:"
WORKER_HOOK = {"__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": f"{__name__}.keep"}
# Ray answers on every interface unless a node's own address is loopback, and gives a node that
# address only where it believes that there cannot be others
ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def keep() -> None:
    """Binds to loopback what this process would offer on every interface by gRPC."""
    offer = tls_utils.add_port_to_grpc_server

    def offer_here(server: Any, address: str) -> int:
        if address.startswith(_EVERYWHERE):
            address = f"{HOST}:{address.removeprefix(_EVERYWHERE)}"
        return int(offer(server, address))

    tls_utils.add_port_to_grpc_server = offer_here
