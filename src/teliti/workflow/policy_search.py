"""Search: which augmentations, and how strong, help these photos? In the features mode, within a time budget.

The training part is cut in two halves, groups whole. Successive halving compares all candidates on the first half,
on more and more of its photos; what survives is measured on the second half, whose photos had no say in the choice, so
that a gain shown there is not the luck of the one that was picked. The test part is never looked at.

The rule of the policy file: it holds every operation whose gain on the second half is more than noise (Holm's rule over
all that were measured there, 5 %), in their best strength. Where there is none it holds the one with the largest
positive gain, marked as unproven; where no gain is positive it holds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from teliti.cache import RowCache
from teliti.data.split import fewest_groups, fold_samples
from teliti.errors import RecipeError, UserError
from teliti.recipe import Recipe, load_recipe, parse_seconds
from teliti.runtime import require
from teliti.transforms.augment import AugmentChain
from teliti.transforms.policy_file import read_policy, write_policy
from teliti.transforms.policy_space import SEARCH_SPACE, Space, candidates_of
from teliti.tuning.halving import Halving, halve
from teliti.types import IntArray, Record, Reporter, SilentReporter
from teliti.workflow.policies.findings import Candidate, Finding, criterion_of, policy_of, sentences_of
from teliti.workflow.policies.measures import Gain, Pairs, ViewTrial, choose_setting, gain_of, make_folds
from teliti.workflow.policies.photos import TrialPhotos, build_policy_chain, open_trial_photos
from teliti.workflow.shared.paired import adjust_for_many
from teliti.workflow.shared.stopwatch import Stopwatch

DEFAULT_BUDGET = "5m"
REPEATS = 3  # divisions into folds for what survives
ROUND_REPEATS = 2  # in a round
_MOST_SURVIVORS = 4
_PHOTOS_TIMED = 16
_SHARE_OF_HALVING = 0.55  # of the time that is left once the photos' own features are there
_MOST_ROUNDS = 4
_FEWEST_PHOTOS_OF_CLASS = 10  # in the smallest round


def search_policy(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    views: int = 1,
    space: Space = SEARCH_SPACE,
    cache: RowCache | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Find augmentations that help these photos and write them as a policy.

    Args:
        source: Labelled photos, as for `train`.
        recipe: A recipe, or the path of one; `train.budget` is the search's. Its own [[augment]] is not used.
        out: The policy's file; None: nothing is written.
        views: Augmented views of each training photo that a head learns from, beside the photo itself.
        space: What is tried.
        cache: Where features are kept; None: the usual place.
        reporter: Told how far it is.

    Returns:
        {"schema", "source", "task", "classes", "criterion", "head", "photos", "design", "rows", "whole", "policy",
        "out", "best", "sentences", "complete", "seconds"}; a row is a `Finding`'s record.

    Raises:
        UserError: bad recipe, bad data, too few photos, or `out` is a file that is no policy.
        StorageError: the policy cannot be written.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    _check(views, None if out is None else Path(out))
    candidates = [Candidate(entry, build_policy_chain([entry])) for entry in candidates_of(space)]
    watch, reporter = Stopwatch(), reporter or SilentReporter()
    budget_s = parse_seconds(chosen.train.budget or DEFAULT_BUDGET)
    with watch.stage("photos"):
        photos = open_trial_photos(str(source), chosen, cache=cache or RowCache(), reporter=reporter, most_views=views)
        search = _Search(photos, views=views, reporter=reporter)
        useful = _useful(candidates, photos)
    with watch.stage("search"):
        left = max(budget_s - watch.elapsed(), 1e-3)
        found = search.halve(useful, budget_s=left * _SHARE_OF_HALVING)
    with watch.stage("confirm"):
        confirmed = search.confirm(found, deadline_s=budget_s, watch=watch)
        whole = search.measure_together(confirmed)
    findings = [*confirmed, *search.out_of_race(found, confirmed)]
    findings += [Finding(one, "no effect") for one in candidates if one not in useful]
    policy = policy_of(photos, confirmed, whole, name=Path(out).stem if out else "searched", views=views)
    if out is not None:
        write_policy(Path(out), policy)
    return {
        **search.facts(found),
        "source": str(source),
        "rows": [one.to_record() for one in findings],
        "whole": None if whole is None else whole.to_record(),
        "policy": policy.model_dump(mode="json", by_alias=True),
        "out": None if out is None else str(out),
        "best": confirmed[0].to_record() if confirmed else None,
        "sentences": sentences_of(photos, confirmed, policy, complete=search.is_complete),
        "seconds": watch.to_record(),
    }


def _check(views: int, out: Path | None) -> None:
    """What would stop the search later. An earlier policy may be replaced, any other file not."""
    for library in ("sklearn", "scipy"):
        require(library, extra="train", purpose="search for augmentations")
    if views < 1:
        raise UserError(f"views must be at least 1, got {views}.", hint="Leave it at 1.")
    if out is None or not out.exists():
        return
    try:
        read_policy(out)
    except RecipeError as error:
        raise UserError(
            f'"{out}" is there already and is no policy.', hint="Name another file for the policy with --out."
        ) from error


def _useful(candidates: Sequence[Candidate], photos: TrialPhotos) -> list[Candidate]:
    useful = [one for one in candidates if photos.changes_photos(one.chain)]
    if not useful:
        raise UserError(
            "Something to search must change these photos, and none of the candidates does.",
            hint="Name other operations.",
        )
    return useful


class _Search:
    """One search: the two halves, the head's setting, and the trials.

    Args:
        photos: Of the training part.
        views: Of each photo.
        reporter: Told of every trial.
    """

    def __init__(self, photos: TrialPhotos, *, views: int, reporter: Reporter) -> None:
        ground, seed = photos.ground, photos.seed
        half = fold_samples(ground.targets, ground.groups, folds=2, seed=seed)
        self.first, self.second = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
        setting = choose_setting(ground.take(self.first), seed=seed)
        self.photos = replace(photos, ground=replace(ground, setting=setting))
        self.rounds = [self.first]
        self.is_complete = True
        self._views, self._reporter = views, reporter
        self._gains: dict[tuple[int, int], Gain] = {}  # by candidate and photos

    def halve(self, candidates: Sequence[Candidate], *, budget_s: float) -> Halving[Candidate]:
        """Rounds on the first half; the first one as large as the time allows."""
        each_s = self._time_a_view(candidates[0].chain) * self._views
        self.rounds = _rounds(self.photos, self.first, most=budget_s / (len(candidates) * each_s))

        def trial(candidate: Candidate, size: int) -> float:
            inside = next(rows for rows in self.rounds if len(rows) == size)
            gain = gain_of(self._pairs(candidate.chain, inside))
            self._gains[id(candidate), size] = gain
            return gain.loss.mean

        sizes = [len(rows) for rows in self.rounds]
        found = halve(
            candidates, trial, resources=sizes, budget_s=budget_s, title="Trying augmentations",
            reporter=self._reporter,
        )  # fmt: skip
        self.is_complete &= found.complete
        return found

    def confirm(self, found: Halving[Candidate], *, deadline_s: float, watch: Stopwatch) -> list[Finding]:
        """The best strength of each of the best operations on the second half; the largest gain first."""
        best: dict[str, Candidate] = {}
        for standing in found.standings:
            if standing.scores and standing.scores[-1] > 0.0:
                best.setdefault(str(standing.candidate.entry["step"]), standing.candidate)
        finals = list(best.values())[:_MOST_SURVIVORS] or list(found.survivors(1))
        done = list[Finding]()
        with self._reporter.task("Measuring on the other half", len(finals)) as advance:
            for candidate in finals:
                if done and watch.elapsed() + done[0].seconds > deadline_s:
                    self.is_complete = False
                    break
                done.append(self._measure(candidate))
                advance(1)
        known = {one.candidate.words: one.gain.loss.p for one in done if one.gain and one.gain.loss.p is not None}
        adjusted = adjust_for_many({name: p for name, p in known.items() if p is not None})
        judged = [replace(one, p_adjusted=adjusted.get(one.candidate.words)) for one in done]
        return sorted(judged, key=lambda one: -one.gain.loss.mean if one.gain else math.inf)

    def measure_together(self, confirmed: Sequence[Finding]) -> Finding | None:
        """The policy as it will be written, all entries in one chain; None where it holds fewer than two."""
        kept = [one.candidate.entry for one in confirmed if one.is_shown]
        if len(kept) < 2:
            return None
        whole = self._measure(Candidate({"step": "all of them"}, build_policy_chain(kept)))
        return replace(whole, p_adjusted=None if whole.gain is None else whole.gain.loss.p)

    def out_of_race(self, found: Halving[Candidate], confirmed: Sequence[Finding]) -> list[Finding]:
        """What the rounds, and the time, left behind; the furthest first."""
        taken = {id(one.candidate) for one in confirmed}
        findings = []
        for standing in found.standings:
            if id(standing.candidate) in taken:
                continue
            gain = self._gains.get((id(standing.candidate), standing.resource))
            stage = f"round {len(standing.scores)}" if standing.scores else "not tried"
            findings.append(Finding(standing.candidate, stage, gain))
        return findings

    def facts(self, found: Halving[Candidate]) -> Record:
        """The part of the record that does not depend on what was found."""
        catalog, ground = self.photos.photos.catalog, self.photos.ground
        is_numbers = catalog.task == "regression"
        return {
            "schema": 1,
            "task": catalog.task,
            "classes": list(catalog.classes),
            "criterion": criterion_of(is_numbers=is_numbers),
            "head": {"name": ground.model.head, **ground.setting},
            "photos": len(self.photos.rows),
            "views": self._views,
            "design": {
                "first_half": len(self.first),
                "second_half": len(self.second),
                "round_photos": [len(rows) for rows in self.rounds],
                "round_trials": list(found.rungs),
                "sentence": self.photos.sentence,
            },
            "complete": self.is_complete,
        }

    def _measure(self, candidate: Candidate) -> Finding:
        clock = Stopwatch()
        ground, seed = self.photos.ground, self.photos.seed
        views = self.photos.view_features(candidate.chain, np.arange(len(self.photos.rows)), views=self._views)
        pairs, affinity, diversity = list[Pairs](), None, None
        for number in range(REPEATS):
            folds = make_folds(ground, seed=seed + number, measured=self.second)
            trial = ViewTrial(ground, views, folds=folds)
            pairs.append(trial.pairs())
            if number == 0:
                affinity, diversity = trial.affinity(), trial.diversity()
        return Finding(candidate, "confirmed", gain_of(pairs), affinity, diversity, seconds=clock.elapsed())

    def _pairs(self, chain: AugmentChain, inside: IntArray) -> list[Pairs]:
        views = self.photos.view_features(chain, inside, views=self._views)
        ground = self.photos.ground.take(inside)
        seeds = range(self.photos.seed, self.photos.seed + ROUND_REPEATS)
        return [ViewTrial(ground, views, folds=make_folds(ground, seed=seed)).pairs() for seed in seeds]

    def _time_a_view(self, chain: AugmentChain) -> float:
        """Seconds that the features of one view take: next to nothing where the cache has them."""
        warm, timed = np.array_split(self.first[: 2 * _PHOTOS_TIMED], 2)
        self.photos.view_features(chain, warm, views=1)  # opens the engine
        clock = Stopwatch()
        self.photos.view_features(chain, timed, views=1)
        return max(clock.elapsed(), 1e-6) / len(timed)


def _rounds(photos: TrialPhotos, first: IntArray, *, most: float) -> list[IntArray]:
    """Positions of the photos of each round: parts of the first half, each half of the next one.

    Rounds that begin with n photos and double k times compute the features of n (1 + k / 2) views a candidate, as half
    of the candidates leave after each. There are as few rounds as keep that within `most`, so that none is smaller
    than it must be: a choice among few photos is a choice by noise.
    """
    ground = photos.ground.take(first)
    smallest = max(1.0, fewest_groups(ground.targets, ground.groups) / _FEWEST_PHOTOS_OF_CLASS)
    possible = range(min(_MOST_ROUNDS, 1 + int(math.log2(smallest))))
    steps = next((k for k in possible if len(first) / 2**k * (1 + k / 2) <= most), possible[-1])
    if steps == 0:
        return [first]
    pieces = fold_samples(ground.targets, ground.groups, folds=2**steps, seed=photos.seed)
    return [first[pieces < 2**number] for number in range(steps + 1)]
