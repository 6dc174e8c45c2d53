"""`teliti info`: what is in a bundle, on this machine, in the cache, or in a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console
from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.types import Record


def info(
    bundle: Path | None = None,
    /,
    *,
    self_test: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    cache: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    network: str | None = None,
    image_size: str | None = None,
    outputs: int | None = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Tell what a bundle is; without one, what this installation and machine are.

    Args:
        bundle: The bundle's folder.
        self_test: Leave with exit code 1 when a golden photo of the bundle no longer gets its scores here.
        cache: Tell what the cache of photo features holds instead.
        network: Tell the layers of a network instead: lenet, resnet50, any timm name, or a recipe file.
        image_size: With --network: pixels a side, or HEIGHTxWIDTH. [default: the recipe's own, or 224]
        outputs: With --network: number of classes. [default: 2]
        output: How to speak.
    """
    asked = [name for name, is_asked in (("BUNDLE", bundle), ("--cache", cache), ("--network", network)) if is_asked]
    if len(asked) > 1:
        raise UserError(
            f"{asked[1]} must stand without {asked[0]}, got both.", hint="Ask for one after the other."
        )  # fmt: skip
    if network is None and (image_size is not None or outputs is not None):
        raise UserError("--image-size and --outputs must stand beside --network.", hint="Name the network.")
    if self_test and bundle is None:
        raise UserError("--self-test must stand beside BUNDLE.", hint="Name the bundle's folder.")
    record = _ask(bundle, cache=cache) if network is None else _describe(network, image_size, outputs)
    if output.json:
        print_json(record)
    elif network is not None:
        from teliti.cli.network import print_network

        print_network(stdout_console(), record)
    else:
        from teliti.cli.facts import print_facts

        print_facts(stdout_console(), record)
    return 1 if self_test and not record["self_test"]["passed"] else 0


def _ask(bundle: Path | None, *, cache: bool) -> Record:
    from teliti.workflow.info import info_bundle, info_cache, info_environment

    if bundle is not None:
        return info_bundle(bundle)
    return info_cache() if cache else info_environment()


def _describe(network: str, image_size: str | None, outputs: int | None) -> Record:
    from teliti.cli.network import parse_image_size
    from teliti.workflow.network import describe_named_network

    size = None if image_size is None else parse_image_size(image_size)
    return describe_named_network(network, image_size=size, num_outputs=2 if outputs is None else outputs)
