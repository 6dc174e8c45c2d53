"""A network that is a choice: what its mode takes for granted hangs on it, not on the base that it is put on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inline_engine import InlineEngine
from teliti.errors import RecipeError
from teliti.recipe import Recipe, override_recipe, parse_recipe
from teliti.tuning.engines import Engine, LocalEngine
from teliti.tuning.machines import Machines
from teliti.tuning.sensitivity import Cell
from teliti.workflow.compare_variants import compare_variants
from teliti.workflow.policy_compare import compare_policy
from teliti.workflow.policy_search import search_policy
from teliti.workflow.searches.job_folder import Asked, do_job
from teliti.workflow.searches.sensitivity_recipes import base_recipe, cell_recipe
from teliti.workflow.searches.shared_base import share_base
from teliti.workflow.sensitivity import TableRequest, sensitivity
from teliti.workflow.tune import resume, tune

PRETRAINED, OWN = "tf_efficientnet_lite0", "small_cnn"


def finetuned(backbone: str, **train: object) -> Recipe:
    return parse_recipe(
        {"data": {"image_size": 32}, "model": {"backbone": backbone}, "train": {"mode": "finetune", **train}}
    )


def facts_of(recipe: Recipe) -> dict[str, object]:
    train = recipe.train
    return {"weights": recipe.model.weights, "batch_norm": train.batch_norm, "frozen_stages": train.frozen_stages,
            "soft_targets": train.soft_targets}  # fmt: skip


EXPECTED = {
    PRETRAINED: {"weights": "auto", "batch_norm": "keep", "frozen_stages": 3, "soft_targets": 0.5},
    OWN: {"weights": "random", "batch_norm": "learn", "frozen_stages": 0, "soft_targets": 0.0},
}


@pytest.mark.parametrize("base", [PRETRAINED, OWN])
@pytest.mark.parametrize("chosen", [PRETRAINED, OWN])
def test_each_trial_of_a_search_has_what_its_own_network_needs(base: str, chosen: str, parts_folder: Path) -> None:
    asked = Asked("tune", str(parts_folder), finetuned(base), {"workers": 1})
    shared, _, plan = share_base(asked, asked.recipe, prepares=[])
    assert plan.num_folds == 0
    assert facts_of(shared.training({"model.backbone": chosen}).recipe) == EXPECTED[chosen]
    assert facts_of(shared.training({}).recipe) == EXPECTED[base]


@pytest.mark.parametrize("base", [PRETRAINED, OWN])
@pytest.mark.parametrize("row", [PRETRAINED, OWN])
def test_each_row_of_a_table_has_what_its_own_network_needs(base: str, row: str) -> None:
    own = base_recipe(finetuned(base, precision="f32"), quick=False)
    assert facts_of(cell_recipe(own, Cell(row, (), ()))) == EXPECTED[row]


def test_folds_are_refused_before_a_photo_is_read(tmp_path: Path) -> None:
    recipe = parse_recipe({"data": {"folds": 5}, "model": {"backbone": OWN}, "train": {"mode": "scratch"}})
    with pytest.raises(RecipeError, match=r"data\.folds must be 0"):
        tune(tmp_path / "no photos", recipe=recipe, space=["train.lr=0.1,0.01"], trials=1)


@pytest.mark.parametrize("engine", [None, Machines(), LocalEngine(1)], ids=["usual", "local", "opened"])
def test_a_gpu_that_is_not_there_is_refused_before_a_photo_is_read(
    engine: Engine | Machines | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked, photos, out = finetuned(OWN, device="cuda", engine="onnxruntime"), tmp_path / "no photos", tmp_path / "out"
    with pytest.raises(RecipeError, match="torch finds no GPU"):
        tune(photos, recipe=asked, space=["train.lr=0.1,0.01"], trials=1, out=out, engine=engine)
    with pytest.raises(RecipeError, match="torch finds no GPU"):
        sensitivity(photos, TableRequest(networks=(OWN,)), recipe=asked, out=out, engine=engine)
    with pytest.raises(RecipeError, match="torch finds no GPU"):
        compare_variants({"a": asked, "b": asked}, str(photos))
    assert not out.exists()


def test_a_machine_without_a_gpu_may_search_on_those_of_a_cluster(
    parts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked = Asked("tune", str(parts_folder), finetuned(OWN, device="cuda"), {"workers": 1}, engine=InlineEngine())
    assert not asked.runs_here
    shared, _, _ = share_base(asked, asked.recipe, prepares=[])
    assert shared.base.train.device == "cuda"


@pytest.mark.parametrize("engine", [Machines("ray"), InlineEngine()], ids=["Ray here", "features computed here"])
def test_what_runs_here_needs_the_gpu_here_whoever_carries_it(
    engine: Engine | Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray without an address starts on this machine; in the features mode this machine makes the pass for all."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    is_ray = isinstance(engine, Machines)
    asked = finetuned(OWN, device="cuda") if is_ray else parse_recipe({"train": {"mode": "features", "device": "cuda"}})
    with pytest.raises(RecipeError, match="torch finds no GPU"):
        tune(tmp_path / "no photos", recipe=asked, space=["model.dropout=0,0.1"] if is_ray else ["model.c=1,2"],
             trials=1, out=tmp_path / "out", engine=engine)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_ray_cluster_may_have_the_gpu_that_this_machine_has_not() -> None:
    assert not Asked("tune", "photos", finetuned(OWN), {}, engine=Machines("ray", "10.0.0.5:6379")).runs_here


@pytest.mark.parametrize(
    ("train", "gpus"),
    [({"device": "cuda"}, 1), ({"device": "auto"}, 0), ({"device": "cuda", "mode": "features", "precision": "f32"}, 0)],
)
def test_a_training_on_a_gpu_of_a_cluster_is_given_one(
    train: dict[str, str], gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass of the features mode is made by the machine that asks; what workers fit, a head, needs no GPU."""
    opened: list[dict[str, int]] = []
    monkeypatch.setattr(Machines, "open", lambda *_, **needs: opened.append(needs) or InlineEngine())
    base = override_recipe(finetuned(OWN), {"train": {**train, "threads": 3}})
    asked = Asked("tune", "photos", base, {"workers": 2}, tmp_path / "out", Machines("local"))
    assert do_job(asked, asked.request, lambda *_: {"done": True}, digest="d", base=base) == {"done": True}
    assert opened == [{"workers": 2, "threads": 3, "gpus": gpus}]


def test_a_finished_search_is_read_back_where_its_gpu_is_not(
    parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    recipe = parse_recipe({
        "data": {"image_size": 8}, "model": {"backbone": "mlp"},
        "train": {"mode": "scratch", "epochs": 1, "device": "cpu", "precision": "f32"},
    })  # fmt: skip
    record = tune(parts_folder, recipe=recipe, space=["model.dropout=0,0.1"], trials=1, repeats=2, finalists=1, out=out,
                  engine=InlineEngine())  # fmt: skip
    state = json.loads((out / "run.json").read_text(encoding="utf-8"))
    on_gpu = state["request"]["recipe"].replace('device = "cpu"', 'device = "cuda"')
    assert on_gpu != state["request"]["recipe"]
    state["request"]["recipe"] = on_gpu
    (out / "run.json").write_text(json.dumps(state), encoding="utf-8")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert resume(out) == record
    (out / "run.json").write_text(json.dumps({**state, "state": "started"}), encoding="utf-8")
    with pytest.raises(RecipeError, match="torch finds no GPU"):
        resume(out)


def test_the_features_of_a_policy_need_the_gpu_before_a_photo_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    photos, out, policy = tmp_path / "no photos", tmp_path / "found.toml", tmp_path / "policy.toml"
    policy.write_text('schema = 1\nname = "flips"\n\n[[augment]]\nstep = "flip"\nhorizontal = 0.5\n', encoding="utf-8")
    for mode in ("features", "finetune"):
        asked = parse_recipe({"train": {"mode": mode, "device": "cuda"}})
        with pytest.raises(RecipeError, match="torch finds no GPU"):
            search_policy(photos, recipe=asked, out=out)
        with pytest.raises(RecipeError, match="torch finds no GPU"):
            compare_policy(photos, policy, recipe=asked)
    assert not out.exists()
