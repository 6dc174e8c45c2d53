"""The training path of a bundle: its network as it was trained, in torch, built again from what run and bundle keep.

A frozen backbone comes from its weights file, a network that learnt from its run's last checkpoint; head, novelty and
number steps from the bundle's own weights. Where that cannot be had, for instance because the bundle left its run,
torch computes the bundle's graph instead, which shows what the engines differ by and not what the exporter changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teliti.bundle import WEIGHTS, Bundle
from teliti.errors import RunError, TelitiError
from teliti.metrics.number_rule import NumberRule
from teliti.models.heads import HeadWeights
from teliti.models.novelty import NoveltyWeights
from teliti.models.weights import find_weights
from teliti.recipe import Recipe, parse_recipe
from teliti.runtime import installed_versions, is_installed
from teliti.sessions import Session
from teliti.training.features.backbone_file import load_feature_net, number_layers
from teliti.transforms.steps_numbers import FittedNumbers
from teliti.types import Catalog, Record
from teliti.workflow.learning.learn import CHECKPOINTS, learns_network, num_network_outputs
from teliti.workflow.learning.second_opinion import rebuild_partner
from teliti.workflow.shared.run_folder import RunFolder

if TYPE_CHECKING:
    from teliti.training.heads.trained_net import FeatureFront

TRAINED, GRAPH = "the trained network in torch", "the bundle's graph in torch"
_NEEDED = ("torch", "timm", "safetensors", "onnx")
_CHANCE = ("torch", "timm")  # random weights are these versions' own


@dataclass(frozen=True)
class TrainingPath:
    """What torch can say of a bundle.

    Attributes:
        session: The network in torch; None where torch is not installed.
        name: What computes: `TRAINED` or `GRAPH`.
        why: Why it is not the trained network; None where it is.
    """

    session: Session | None
    name: str
    why: str | None = None


def open_training_path(bundle: Bundle, *, threads: int) -> TrainingPath:
    """The trained network of a bundle in torch, or the next best thing.

    Args:
        bundle: Opened; in its run's folder where a network learnt.
        threads: How many photos are computed at once.
    """
    missing = [library for library in _NEEDED if not is_installed(library)]
    if missing:
        return TrainingPath(None, TRAINED, f"{missing[0]} of the extra train is not installed")
    from teliti.export.torch_program import open_graph

    try:
        return TrainingPath(_trained(bundle, threads=threads), TRAINED)
    except TelitiError as error:
        why = error.message
    try:
        return TrainingPath(open_graph(bundle.model_path, threads=threads), GRAPH, why)
    except TelitiError as error:
        return TrainingPath(None, TRAINED, f"{why} {error.message}".rstrip("."))


def _trained(bundle: Bundle, *, threads: int) -> Session:
    """The trained network.

    Raises:
        TelitiError: something of it is gone.
    """
    from safetensors.numpy import load_file

    from teliti.export.torch_session import trained_session

    provenance = bundle.manifest.get("provenance", {})
    if "recipe" not in provenance or "backbone" not in provenance:
        raise RunError("The bundle does not say how it was trained.")
    recipe, facts = parse_recipe(provenance["recipe"]), provenance["backbone"]
    arrays, steps = load_file(bundle.path / WEIGHTS), bundle.chain.numbers
    head, novelty = HeadWeights.from_arrays(arrays), NoveltyWeights.from_arrays(arrays)
    numbers = FittedNumbers.from_arrays(steps, arrays) if steps else None
    if learns_network(recipe):
        front = _learnt_front(bundle, recipe, facts, numbers=numbers)
        if recipe.train.ensemble is True:
            _check_weights(recipe, facts, provenance.get("versions", {}))
            front = front.with_partner(rebuild_partner(recipe, arrays, steps))
        return trained_session(front, head, novelty, calls=threads)
    _check_weights(recipe, facts, provenance.get("versions", {}))
    frozen = load_feature_net(recipe.model, seed=recipe.seed, numbers=numbers)
    return trained_session(frozen, head, novelty, calls=threads)


def _check_weights(recipe: Recipe, facts: Record, versions: Mapping[str, str]) -> None:
    """A frozen backbone must be the one of the training, from this machine."""
    backbone, known = recipe.model.backbone, facts["weights"]["sha256"]
    found = find_weights(backbone, recipe.model.weights)
    if found.kind == "hub":
        raise RunError(f"The weights of {backbone} would have to be downloaded again.")
    if found.sha256 != known:
        raise RunError(f"The weights of {backbone} are others than those of the training.")
    now = installed_versions(_CHANCE)
    if found.kind == "random" and any(versions.get(name) != now[name] for name in _CHANCE):
        raise RunError(f"The random weights of {backbone} are drawn otherwise by this version of torch or timm.")


def _learnt_front(bundle: Bundle, recipe: Recipe, facts: Record, *, numbers: FittedNumbers | None) -> FeatureFront:
    """A network that learnt, with the weights of its best epoch from the last checkpoint of its run."""
    from teliti.models.networks import InputFacts, build_network, pool_before_activation
    from teliti.models.number_layers import NumberInput
    from teliti.training.checkpoint import load_checkpoint, take
    from teliti.training.heads.trained_net import FeatureFront

    run = RunFolder(bundle.path.absolute().parent)
    saved = load_checkpoint(run.path / CHECKPOINTS) if run.bundle.name == bundle.path.name else None
    if saved is None:
        raise RunError("The checkpoints of its training do not lie beside it.")
    answers, size = bundle.answers, bundle.chain.image_size
    classes, names = ((), answers.names) if isinstance(answers, NumberRule) else (answers.classes, ())
    outputs = num_network_outputs(recipe, Catalog("", (), (), bundle.task, classes, number_names=names))
    model = recipe.model.model_copy(update={"weights": "random"})  # all of them stand in the checkpoint
    network = build_network(model, num_outputs=outputs, image_size=size, seed=recipe.seed)
    if facts["mean"] is not None:
        network.facts = InputFacts(size, tuple(facts["mean"]), tuple(facts["std"]))
    pool_before_activation(network)
    try:
        network.load_state_dict(take(saved.tensors, "best."))
    except RuntimeError as error:
        raise RunError("The last checkpoint of its run is of another network.") from error
    return FeatureFront(network.eval(), None if numbers is None else NumberInput(number_layers(numbers)))
