"""Serves the fraud application on Ray, steered over standard input.

`python -m tests.serve.ray_server_main PORT`: the first line is the application as a Serve config
file has it, each later line the same with another `user_config`. Prints `ready` after each.
"""

from __future__ import annotations

import json
import sys

import ray
from ray.serve import shutdown, start
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema


def main() -> None:
    """Serves until standard input ends."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    listen = {"host": "127.0.0.1", "port": int(sys.argv[1])}
    start(http_options=listen)
    for line in sys.stdin:
        schema = ServeDeploySchema.model_validate({"http_options": listen, **json.loads(line)})
        _get_global_client().deploy_apps(schema, _blocking=True)
        print("ready", flush=True)
    shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
