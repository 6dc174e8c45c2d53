"""One hundred trials on elpv in the features mode; the winner and the recipe as given on the sealed test part."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

SEEDS = (7, 8, 9)
TRIALS = 100


def run() -> dict:
    """A search for each seed, its features cached by a first one of two trials."""
    from teliti.recipe import load_recipe, override_recipe
    from teliti.workflow.tune import resume, tune

    rows, work = [], Path(tempfile.mkdtemp())
    for seed in SEEDS:
        recipe = override_recipe(load_recipe(None), {"seed": seed, "data": {"seed": seed}})
        tune("elpv", recipe=recipe, trials=2, repeats=2, finalists=1, out=work / f"warm-{seed}")
        record = tune("elpv", recipe=recipe, trials=TRIALS, out=work / f"seed-{seed}")
        given = _test_of_given(recipe)
        again = resume(work / f"seed-{seed}")
        if again["rows"] != record["rows"]:
            raise RuntimeError("a finished search must read back its own record")
        found = record["best"]["test"]["roc_auc"]
        rows.append(
            {
                "seed": seed,
                "trials done": record["trials"]["done"],
                "seconds of the trials": round(record["seconds"]["trials"], 1),
                "seconds in all": round(record["seconds"]["total"], 1),
                "winner": record["best"]["name"],
                "test AUC of the winner": round(found, 4),
                "test AUC as given": round(given, 4),
                "difference": round(found - given, 4),
            }
        )
    median = statistics.median(row["seconds in all"] for row in rows)
    mean = statistics.mean(row["difference"] for row in rows)
    return {
        "name": "Search on elpv in the features mode",
        "about": f"{TRIALS} trials, finals and the look at the test part, features cached, one worker a core. "
        f"Median {median:.0f} s; the winner's test AUC is {mean:+.4f} against it as given, over {len(SEEDS)} seeds.",
        "rows": rows,
    }


def _test_of_given(recipe: object) -> float:
    """The recipe as given, trained once on the same parts and measured on their test part."""
    import teliti

    record = teliti.train("elpv", recipe=recipe, out=Path(tempfile.mkdtemp()) / "given")
    return float(record["test"]["roc_auc"])
