"""Serves an application on Ray, steered over standard input.

`python -m tests.serve.ray_server_main PORT`: the first line is the application as a Serve config
file has it, each later line the same with another `user_config`; prints `ready` after each. A line
`{"ask": {"application": ..., "deployment": ..., "method": ...}}` prints `answer` and what a replica
says, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import ray
from ray.serve import get_deployment_handle, shutdown, start, status
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

_SECONDS, _START_SECONDS = 30.0, 240.0


def main() -> None:
    """Serves until standard input ends."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    listen = {"host": "127.0.0.1", "port": int(sys.argv[1])}
    start(http_options=listen)
    loop = asyncio.new_event_loop()  # handles of deployments live on one
    for line in sys.stdin:
        message = json.loads(line)
        if (request := message.get("ask")) is not None:
            print(f"answer {json.dumps(loop.run_until_complete(_answer(request)))}", flush=True)
            continue
        schema = ServeDeploySchema.model_validate({"http_options": listen, **message})
        client = _get_global_client()
        client.deploy_apps(schema)
        _wait_until_running()
        client.wait_for_proxies_serving(wait_for_applications_running=True)
        print("ready", flush=True)
    loop.close()
    shutdown()
    ray.shutdown()


async def _answer(request: dict[str, str]) -> Any:
    handle = get_deployment_handle(request["deployment"], request["application"])
    async with asyncio.timeout(_SECONDS):
        return await getattr(handle, request["method"]).remote()


def _wait_until_running() -> None:
    """Waits for every application; longer than Serve itself would, as others use these cores."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        applications = status().applications.values()
        if applications and {application.status for application in applications} == {
            ApplicationStatus.RUNNING
        }:
            return
        time.sleep(0.2)
    raise TimeoutError(f"not running after {_START_SECONDS:g} s: {status()}")


if __name__ == "__main__":
    main()
