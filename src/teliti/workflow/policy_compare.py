"""Does a policy help these photos? The features mode with it and without it, on the same splits.

Beside the comparison stand affinity and diversity of the policy on the same data, measured on the training part alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from teliti.cache import RowCache
from teliti.errors import RecipeError, UserError
from teliti.recipe import Recipe, load_recipe, override_recipe, parse_seconds
from teliti.transforms.policy_file import read_policy
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.compare_variants import DEFAULT_REPEATS, compare_variants
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.policies.measures import ViewTrial, choose_setting, make_folds
from teliti.workflow.policies.photos import build_policy_chain, open_trial_photos

NONE = "none"


def compare_policy(
    source: str | Path,
    policy: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    repeats: int = DEFAULT_REPEATS,
    measure: str | None = None,
    cache: RowCache | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Train without augmentation and with a policy, and say whether the policy is shown to help.

    Args:
        source: Labelled photos, as for `train`; other ones than the policy was made on tell whether it carries over.
        policy: The policy's file.
        recipe: Everything else; its own [[augment]] is not used. `train.budget` bounds the comparison.
        repeats: Trainings of each of the two.
        measure: What is judged; None: accuracy, or the mean absolute error of a regression.
        cache: Where features are kept; None: the usual place.
        reporter: Told how far it is.

    Returns:
        The record of `compare_variants` for "none" and the policy's name, with "policy" (file, name, made_from,
        entries), "affinity" and "diversity" beside it.

    Raises:
        RecipeError: a policy that is empty or cannot be used.
        UserError: bad recipe, bad data, too few photos.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    carried = read_policy(Path(policy))
    if not carried.augment:
        raise RecipeError(
            f'Policy "{policy}" is empty: the search that wrote it found nothing that helps.',
            hint="There is nothing to compare; search with a longer --budget.",
        )
    if carried.name == NONE:
        raise UserError(f'The policy\'s name must not be "{NONE}".', hint="Rename it in its file.")
    reporter, cache = reporter or SilentReporter(), cache or RowCache()
    closeness = measure_policy(source, policy, recipe=chosen, cache=cache, reporter=reporter)
    budget = chosen.train.budget
    record = compare_variants(
        {
            NONE: override_recipe(chosen, {"augment": []}),
            carried.name: override_recipe(chosen, {"augment": carried.steps}),
        },
        str(source),
        repeats=repeats,
        measure=measure,
        factor="policy",
        budget_s=None if budget is None else parse_seconds(budget),
        cache=cache,
        reporter=reporter,
    )
    about = {"file": str(policy), "name": carried.name, "made_from": carried.made_from, "entries": carried.steps}
    return record | closeness | {"policy": about}


def measure_policy(
    source: str | Path,
    policy: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    cache: RowCache | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Affinity and diversity of a policy on these photos, one view of each; see `ViewTrial` for the definitions.

    Args:
        source: Labelled photos, as for `train`.
        policy: The policy's file.
        recipe: Everything else.
        cache: Where features are kept; None: the usual place.
        reporter: Told how far it is.

    Returns:
        {"affinity", "diversity"}, None where undefined.

    Raises:
        UserError: bad recipe, policy or data, too few photos.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    if learns_network(chosen):  # both are measured on frozen features, whatever is trained afterwards
        chosen = override_recipe(chosen, {"train": {"mode": "features", "precision": "f32"}})
    chain = build_policy_chain(read_policy(Path(policy)).steps)
    reporter, cache = reporter or SilentReporter(), cache or RowCache()
    photos = open_trial_photos(str(source), chosen, cache=cache, reporter=reporter, most_views=1)
    ground = replace(photos.ground, setting=choose_setting(photos.ground, seed=photos.seed))
    with reporter.task("Measuring affinity and diversity", 1) as advance:
        views = photos.view_features(chain, np.arange(len(photos.rows)), views=1)
        trial = ViewTrial(ground, views, folds=make_folds(ground, seed=photos.seed))
        measured = {"affinity": trial.affinity(), "diversity": trial.diversity()}
        advance(1)
    return measured
