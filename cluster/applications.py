"""The Serve config files, made from the applications themselves so that they cannot drift.

`python -m cluster.applications` reads `values/*.yaml`, asks each application which deployments it
has with these arguments, as `serve build` does, and writes `serve.yaml`, `serve_local.yaml` and the
copy of the first in the RayService. A new system is an entry in both files of values.
"""

from pathlib import Path
from typing import Any

import yaml
from ray._common.utils import import_attr
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary
from ray.serve._private.build_app import build_app
from ray.serve.config import ProxyLocation
from ray.serve.deployment import deployment_to_schema
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

CLUSTER = Path(__file__).parent
FILES = {"production.yaml": "serve.yaml", "local.yaml": "serve_local.yaml"}
SERVICE = CLUSTER / "kubernetes" / "rayservice.yaml"
_EMBEDDED = "  serveConfigV2: |\n"
_HEAD = """\
# Made by `python -m cluster.applications` from values/{source}; change that, not this.
# A change of user_config alone reloads models and rules without a restart. There is no working_dir:
# a node has the tree in its PYTHONPATH. To ship other code to running nodes, give an application
# `runtime_env: {{working_dir: "s3://.../forewarn.zip"}}`.
"""


def application(name: str, args: dict[str, Any]) -> dict[str, Any]:
    """One entry of `applications`.

    Args:
        name: of the system; its package, its route and the application bear it.
        args: of its `build`.

    Raises:
        pydantic.ValidationError: the application does not take these arguments; each is named.
    """
    path = f"serve.{name}.app:build"
    built = call_user_app_builder_with_args_if_necessary(import_attr(path), args)
    deployments = build_app(built, name=name).deployments
    schema = ServeApplicationSchema(
        name=name,
        route_prefix=f"/{name}",
        import_path=path,
        args=args,
        deployments=[deployment_to_schema(deployment) for deployment in deployments],
    )
    return schema.model_dump(exclude_unset=True, mode="json")


def configuration(values: dict[str, Any]) -> dict[str, Any]:
    """A whole Serve config file.

    Args:
        values: `http` and, by name, the arguments of all `applications`.
    """
    config = {
        # replicas' nodes have a proxy each; the head has neither
        "proxy_location": ProxyLocation.EveryNode.value,
        "http_options": values["http"],
        "applications": [application(*entry) for entry in values["applications"].items()],
    }
    ServeDeploySchema.model_validate(config)
    return config


def written(source: str) -> str:
    """The text of the config file for one file of values."""
    values = yaml.safe_load((CLUSTER / "values" / source).read_text())
    body = yaml.safe_dump(configuration(values), sort_keys=False, width=100)
    return _HEAD.format(source=source) + body


def embedded(manifest: str, config: str) -> str:
    """The RayService with the config in it; `serveConfigV2` is the last field.

    Raises:
        ValueError: the manifest has no such field.
    """
    head, separator, _ = manifest.partition(_EMBEDDED)
    if not separator:
        raise ValueError(f"{SERVICE.name}: expected a line {_EMBEDDED.strip()!r} at the end")
    lines = [f"    {line}" if line else "" for line in config.splitlines()]
    return "\n".join([head + _EMBEDDED.rstrip(), *lines, ""])


def main() -> None:
    """Writes all of them."""
    for source, target in FILES.items():
        (CLUSTER / target).write_text(written(source))
    config = (CLUSTER / "serve.yaml").read_text()
    SERVICE.write_text(embedded(SERVICE.read_text(), config))


if __name__ == "__main__":
    main()
