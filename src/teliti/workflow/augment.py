"""Augment: several augmented copies of every photo, written as PNG with what was drawn for each.

The photo is augmented as it was decoded, at its own size; [[prepare]] steps act later, when the copies are trained on.
What a copy looks like depends on the photo's content, the seed and the number of the view alone: not on workers, on
order, or on where an interrupted start broke off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teliti.data.decode import decode_image
from teliti.errors import RecipeError, UserError
from teliti.files import hash_file, sha256_hex
from teliti.recipe import Recipe, load_recipe, recipe_values
from teliti.runtime import default_threads
from teliti.transforms.augment import AugmentChain, Draw, photo_rng
from teliti.transforms.operations import BatchOperation
from teliti.transforms.policy_file import read_policy
from teliti.types import Catalog, Record, Refused, Reporter, Sample, SilentReporter
from teliti.workflow.policies.photos import build_policy_chain
from teliti.workflow.prepare import check_apart
from teliti.workflow.prepared.folder import SUFFIX, Made, PreparedFolder, name_files, open_prepared_folder
from teliti.workflow.prepared.labels import choose_layout, place_file, write_labels
from teliti.workflow.prepared.pictures import encode_photo
from teliti.workflow.prepared.writing import findable, folder_notes, no_photo, refusals, write_photos, write_refused
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.samples import read_own_photos
from teliti.workflow.shared.stopwatch import Stopwatch

DEFAULT_VIEWS, MOST_VIEWS, MOST_SEED = 5, 1000, 2**32 - 1
PARAMETERS = "parameters.csv"
_AHEAD = 1  # photos that a thread may have waiting, each with all its views encoded


@dataclass(frozen=True)
class _Job:
    """What every photo of one start shares."""

    folder: PreparedFolder
    chain: AugmentChain
    seed: int
    files: dict[str, str]
    views: int

    def names_of(self, sample: Sample) -> list[str]:
        """The files of a photo's views: part.png becomes part-view-0.png and so on."""
        stem = self.files[sample.name].removesuffix(SUFFIX)
        return [f"{stem}-view-{view}{SUFFIX}" for view in range(self.views)]

    def draw(self, sha256: str, view: int, size: tuple[int, int] = (1, 1)) -> Draw:
        """What is drawn for a view; the size is only noted."""
        return self.chain.draw(photo_rng(self.seed, bytes.fromhex(sha256), view), size)

    def write(self, sample: Sample) -> Made | None:
        """The views of one photo: None where they lie there already."""
        data = sample.origin.read_bytes()
        digest, names = sha256_hex(data), self.names_of(sample)
        if self._is_there(sample.name, digest, names):
            return None
        image = decode_image(data)
        size = (image.shape[0], image.shape[1])
        drawn = [self.draw(digest, view, size) for view in range(self.views)]
        encoded = {
            name: encode_photo(self.chain.apply(image, draw).image) for name, draw in zip(names, drawn, strict=True)
        }
        return self.folder.put(sample.name, digest, encoded)

    def _is_there(self, name: str, sha256: str, files: Sequence[str]) -> bool:
        made = self.folder.made.get(name)
        if made is None or made.sha256 != sha256 or list(made.files) != list(files):
            return False
        return all(
            (path := self.folder.path / file).is_file() and hash_file(path) == digest
            for file, digest in made.files.items()
        )


def augment(
    source: str | Path,
    out: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    policy: str | Path | None = None,
    views: int = DEFAULT_VIEWS,
    seed: int | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Write augmented copies of every photo; a second start does what is missing.

    Args:
        source: Labelled photos as for `train`, or a folder, zip or photo without labels.
        out: A new or empty folder, or one from an earlier start with the same photos, operations, views and seed.
        recipe: A recipe with [[augment]] entries, or the path of one.
        policy: A policy file, whose entries are used instead of the recipe's.
        views: Copies of each photo, 1 to 1000.
        seed: Same seed, same pixels; the recipe's when None.
        reporter: Told how far it is.

    Returns:
        {"schema", "source", "out", "data" (what to give to `train`), "steps", "policy", "views", "seed", "photos",
        "files", "written", "kept", "refused", "refused_photos", "labels", "parameters", "stale", "notes", "seconds"}.

    Raises:
        RecipeError: no augmentation, or one that cannot be used.
        CatalogError: no usable photos.
        UserError: `out` holds other files, or was made by other steps.
        StorageError: the disk is full.
    """
    if not 1 <= views <= MOST_VIEWS:
        raise UserError(f"--views must be 1 to {MOST_VIEWS}, got {views}.", hint="For instance -n 5.")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    reporter, watch = reporter or SilentReporter(), Stopwatch()
    chain, seed = photo_chain(chosen, policy), seed_of(chosen, seed)
    catalog = read_own_photos(str(source), chosen)
    check_apart(catalog.source, Path(out))
    job = _open_job(catalog, Path(out), chain, seed=seed, views=views)
    with RunFolder(Path(out)).locked():
        threads = chosen.train.threads or default_threads()
        written = write_photos(
            job.folder, catalog.samples, job.write, title="Augmenting photos", threads=threads, ahead=_AHEAD,
            reporter=reporter,
        )  # fmt: skip
        refused = [*catalog.refused, *written.refused]
        made, labels = _write_tables(job, catalog, refused)
    notes = _notes(job, catalog, blocked=written.blocked, is_grouped=labels is not None)
    for note in notes:
        reporter.note(note)
    counts = {"photos": len(made), "files": sum(map(len, made.values())), "written": written.photos}
    return {
        **_about(job, catalog, labels),
        "policy": None if policy is None else str(policy),
        **counts,
        "kept": len(made) - written.photos,
        **refusals(refused),
        "notes": notes,
        "seconds": watch.to_record(),
    }


def chain_of(recipe: Recipe, policy: str | Path | None) -> AugmentChain:
    """The chain of a policy file, else of the recipe's [[augment]].

    Raises:
        RecipeError: there is none, it is empty, or it cannot be used.
    """
    if policy is not None:
        steps = read_policy(Path(policy)).steps
        if not steps:
            raise RecipeError(
                f'Policy "{policy}" is empty: the search that wrote it found nothing that helps.',
                hint="Name another policy, or [[augment]] entries in a recipe.",
            )
        return build_policy_chain(steps)
    entries: list[dict[str, Any]] = recipe_values(recipe).get("augment", [])
    if not entries:
        raise RecipeError(
            "The recipe must have an [[augment]] entry, got none.",
            hint="Name a recipe with --recipe or a policy with --policy, or set it here: "
            "--set 'augment=[{step = \"flip\"}]'",
        )
    return build_policy_chain(entries)


def seed_of(recipe: Recipe, seed: int | None) -> int:
    """The seed that was asked for, else the recipe's.

    Raises:
        UserError: one that no recipe could have.
    """
    if seed is not None and not 0 <= seed <= MOST_SEED:
        raise UserError(f"--seed must be 0 to {MOST_SEED:,}, got {seed}.", hint="For instance --seed 1.")
    return recipe.seed if seed is None else seed


def photo_chain(recipe: Recipe, policy: str | Path | None) -> AugmentChain:
    """`chain_of`, refused where it would leave every photo as it is.

    Raises:
        RecipeError: also where it has nothing but operations that mix the photos of a batch.
    """
    chain = chain_of(recipe, policy)
    if all(isinstance(one, BatchOperation) for one in chain.operations):
        raise RecipeError(
            "The augmentation must change a photo by itself, got only steps that mix the photos of a batch.",
            hint="Add another step, such as flip; mixup and cutmix work where a network learns.",
        )
    return chain


def _open_job(catalog: Catalog, out: Path, chain: AugmentChain, *, seed: int, views: int) -> _Job:
    layout = choose_layout(catalog, has_tiles=True)
    placed = {sample.name: place_file(sample, layout) for sample in catalog.samples}
    files, _ = name_files(list(placed.values()))
    facts = [*chain.to_record(), {"step": f"{views} views of each photo"}, {"step": f"seed {seed}"}]
    folder = open_prepared_folder(out, source=findable(catalog.source), steps=facts)
    return _Job(folder, chain, seed, {name: files[place] for name, place in placed.items()}, views)


def _about(job: _Job, catalog: Catalog, labels: Path | None) -> Record:
    out = job.folder.path
    return {
        "schema": 1,
        "source": catalog.source,
        "out": str(out),
        "data": str(labels or out),
        "steps": job.chain.to_record(),
        "views": job.views,
        "seed": job.seed,
        "labels": None if labels is None else str(labels),
        "parameters": str(out / PARAMETERS),
        "stale": job.folder.forgotten(job.files),
    }


def _write_tables(
    job: _Job, catalog: Catalog, refused: Sequence[Refused]
) -> tuple[dict[str, tuple[str, ...]], Path | None]:
    """The files of each photo, and the label file where there is one."""
    out, folder = job.folder.path, job.folder
    write_refused(out, refused)
    made = {one.name: tuple(folder.made[one.name].files) for one in catalog.samples if one.name in folder.made}
    if not made:
        raise no_photo(catalog.source, refused, what="could be augmented", hint="refused.csv in OUT names them all.")
    _write_parameters(out, job, made)
    is_listed = choose_layout(catalog, has_tiles=True) == "label file"
    return made, write_labels(out, catalog, made) if is_listed else None


def _write_parameters(out: Path, job: _Job, made: dict[str, tuple[str, ...]]) -> None:
    """`parameters.csv`: photo, view, file, and a column for everything that was drawn; empty where it was not used."""

    def drawn() -> Iterator[tuple[list[Any], dict[str, Any], str]]:
        for name, files in made.items():
            sha256 = job.folder.made[name].sha256
            for view, file in enumerate(files):
                draw = job.draw(sha256, view)
                yield [name, view, file], _flat(draw), job.chain.describe(draw)

    columns = list(dict.fromkeys(key for _, values, _ in drawn() for key in values))
    rows = [[*place, *(values.get(key, "") for key in columns), words] for place, values, words in drawn()]
    RunFolder(out).write_table(PARAMETERS, ["photo", "view", "file", *columns, "words"], rows)


def _flat(draw: Draw) -> dict[str, Any]:
    """Everything drawn by `step.name`, numbered where a step stands twice in the chain; lists as JSON."""
    flat: dict[str, Any] = {}
    for number, (step, values) in enumerate(zip(draw.steps, draw.values, strict=True), start=1):
        prefix = step if draw.steps.count(step) == 1 else f"{number}-{step}"
        for key, value in (values or {}).items():
            flat[f"{prefix}.{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _notes(job: _Job, catalog: Catalog, *, blocked: Sequence[str], is_grouped: bool) -> list[str]:
    notes = list(catalog.notes)
    if job.chain.mixes:
        notes.append("Operations that mix several photos (mixup, cutmix) are left out: they need a batch.")
    if is_grouped:
        notes.append(
            "To train on the copies give labels.csv, whose group column keeps the copies of a photo on one side of a "
            "split. Measure on photos that are not augmented."
        )
    return [*notes, *folder_notes(stale=job.folder.forgotten(job.files), blocked=blocked)]
