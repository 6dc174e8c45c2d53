"""Several inspectors, repeated shots and a net: how far they agree, and what to label again."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from handmade import even_photo, write_brightness_bundle
from parts import encode_png, write_parts
from teliti.errors import CatalogError, UserError
from teliti.workflow.agree import agree
from teliti.workflow.check import clean


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    return {
        name: np.where(rng.random(60) < right, truth, 1 - truth)
        for name, right in (("anna", 0.95), ("ben", 0.85), ("net", 0.9))
    }


def write_wide(path, ratings, *, gaps=()):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *ratings])
        for at in range(60):
            labels = [("ok", "bad")[own[at]] if (name, at) not in gaps else "" for name, own in ratings.items()]
            writer.writerow([f"{at:02d}.png", *labels])
    return path


def test_two_people_have_cohens_kappa(tmp_path, ratings):
    path = write_wide(tmp_path / "l.csv", {name: ratings[name] for name in ("anna", "ben")})
    record = agree(path)
    assert record["people"]["measure"] == "Cohen's kappa"
    assert record["people"]["value"] == pytest.approx(cohen_kappa_score(ratings["anna"], ratings["ben"]), abs=1e-4)
    low, high = record["people"]["interval"]
    assert low < record["people"]["value"] < high
    assert len(record["queue"]) == (ratings["anna"] != ratings["ben"]).sum()
    assert record["sentences"][0].startswith("2 people agree")


def test_a_net_is_compared_with_the_people_and_left_out_among_them(tmp_path, ratings):
    record = agree(write_wide(tmp_path / "l.csv", ratings), net="net")
    assert record["people"]["raters"] == 2
    assert [row["first"] for row in record["net"]] == ["anna", "ben"]
    assert record["net"][0]["value"] == pytest.approx(cohen_kappa_score(ratings["anna"], ratings["net"]), abs=1e-4)
    disputed = [row["disputed"] for row in record["queue"]]
    assert disputed == sorted(disputed, reverse=True)


def test_three_people_with_and_without_gaps(tmp_path, ratings):
    assert agree(write_wide(tmp_path / "a.csv", ratings))["people"]["measure"] == "Fleiss' kappa"
    gaps = agree(write_wide(tmp_path / "b.csv", ratings, gaps={("ben", 3)}))
    assert gaps["people"]["measure"] == "Krippendorff's alpha"


def test_one_line_a_judgement_with_repeats_and_parts(tmp_path):
    path = tmp_path / "l.csv"
    rows = ["a.png,anna,ok,p1", "a.png,anna,ok,p1", "b.png,anna,ok,p1", "b.png,anna,bad,p1", "c.png,anna,bad,p2"]
    path.write_text("path,rater,label,group\n" + "\n".join(rows) + "\n")
    record = agree(path)
    assert record["people"] is None
    (repeat,) = record["repeats"]
    assert (repeat["rater"], repeat["photos"], repeat["same"]) == ("anna", 2, 0.5)
    assert record["parts"] == [
        {"rater": "anna", "parts": 1, "same": 1.0, "interval": pytest.approx([0.2065, 1.0], abs=1e-3)}
    ]
    assert any("anna repeats the own label for 50.0% of 2 photos" in one for one in record["sentences"])
    (again,) = record["queue"]  # who contradicts oneself is asked once more
    assert (again["path"], again["disputed"], again["labels"]) == ("b.png", 0.5, {"anna": "ok / bad"})


def test_shots_of_one_part_with_different_labels_are_judged_and_queued_for_the_net_as_well(tmp_path):
    rows = ["a.png,p1,ok,ok", "b.png,p1,bad,ok", "c.png,p2,ok,ok", "d.png,p2,ok,bad", "e.png,p3,ok,ok"]
    (tmp_path / "l.csv").write_text("path,group,anna,net\n" + "\n".join(rows) + "\n")
    record = agree(tmp_path / "l.csv", net="net")
    assert [(row["rater"], row["parts"], row["same"]) for row in record["parts"]] == [("anna", 2, 0.5), ("net", 2, 0.5)]
    queue = {row["path"]: (row["net_differs"], row["shots_differ"]) for row in record["queue"]}
    assert queue == {"a.png": (False, True), "b.png": (True, True), "d.png": (True, False)}
    assert "net gave all shots of a part one label for 50.0% of 2 parts." in record["sentences"]


def test_poor_agreement_is_called_the_limit_of_any_inspector(tmp_path):
    rng = np.random.default_rng(3)
    record = agree(write_wide(tmp_path / "l.csv", {name: rng.integers(0, 2, 60) for name in ("a", "b")}))
    assert record["sentences"][-1].startswith("No inspector can be better than the labels it learns")


def test_the_queue_is_written_for_people(tmp_path, ratings):
    record = agree(write_wide(tmp_path / "l.csv", ratings), out=tmp_path / "out")
    with (tmp_path / "out" / "relabel.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [row["path"] for row in record["queue"]]
    assert {row["label"] for row in rows} == {""}
    assert json.loads((tmp_path / "out" / "agree.json").read_text())["people"] == record["people"]


def test_the_filled_queue_is_applied_like_the_findings_of_a_check(tmp_path):
    photos = write_parts(tmp_path / "parts", per_class=2)
    judgements = ["good/good-000.png,ok,bad", "good/good-001.png,ok,ok"]
    (tmp_path / "l.csv").write_text("path,anna,ben\n" + "\n".join(judgements) + "\n")
    agree(tmp_path / "l.csv", out=tmp_path)
    filled = (tmp_path / "relabel.csv").read_text().replace("good-000.png,,,", "good-000.png,relabel,scratch,")
    (tmp_path / "relabel.csv").write_text(filled)
    done = clean(photos, fixes=tmp_path / "relabel.csv", out=photos / "cleaned.csv")
    assert (done["photos"], done["relabelled"]) == (4, 1)
    assert "good/good-000.png,scratch" in (photos / "cleaned.csv").read_text()


def test_semicolons_are_read(tmp_path):
    (tmp_path / "l.csv").write_text("path;anna;ben\na.png;ok;ok\nb.png;bad;ok\n")
    assert agree(tmp_path / "l.csv")["raters"] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("photo,label\na,b\n", UserError, "must begin with path,rater,label"),
        ("path,anna,ben\n", UserError, r"at least one judgement.* Add rows below the header\."),
        ("path,anna,ben\na.png,ok\n", CatalogError, "line 2: must have 3 fields, got 2"),
        ("path,anna,ben\n,ok,ok\n", CatalogError, "line 2: path must not be empty"),
        ("path,anna,ben\na,ok,ok\na,ok,ok\n", CatalogError, "line 3: path must occur once"),
        ("path,rater,label\na,anna,\n", CatalogError, "line 2: rater and label must not be empty"),
        (
            "path,anna\na,ok\n",
            UserError,
            r"must have at least two raters.* Columns: path,rater,label, or path and a column for each rater\.",
        ),
    ],
)
def test_wrong_files_are_refused(tmp_path, text, error, words):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(error, match=words):
        agree(tmp_path / "l.csv")


def test_an_unknown_net_a_missing_file_and_other_bytes(tmp_path, ratings):
    with pytest.raises(
        UserError, match=r'anna, ben, net, got "x"\. Name a rater of the file, or give the net itself with --bundle\.$'
    ):
        agree(write_wide(tmp_path / "l.csv", ratings), net="x")
    with pytest.raises(UserError, match="does not exist"):
        agree(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"path,anna\n\xff,ok\n")
    with pytest.raises(UserError, match="must be UTF-8"):
        agree(tmp_path / "b.csv")


def test_a_folder_in_the_place_of_the_file_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="must be a CSV file of judgements, got a folder"):
        agree(tmp_path)


GREYS = {"a.png": 200, "b.png": 220, "c.png": 40, "d.png": 100}


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A bundle that rejects bright photos, four photos, and what two people say of them."""
    folder = tmp_path_factory.mktemp("line")
    write_brightness_bundle(folder / "bundle")
    write_brightness_bundle(folder / "unsure", grey=(0.3, 0.6))
    (folder / "photos").mkdir()
    for name, grey in GREYS.items():
        (folder / "photos" / name).write_bytes(encode_png(even_photo(grey)))
    return folder


def judgements(folder, *rows):
    (folder / "l.csv").write_text("path,group,anna,ben\n" + "\n".join(rows) + "\n")
    return folder / "l.csv"


CLASSES = ("a.png,p1,bright,bright", "b.png,p1,bright,dark", "c.png,p2,dark,dark", "d.png,p2,bright,dark")


def test_a_bundle_judges_the_photos_and_is_compared_with_each_person(line, tmp_path):
    record = agree(judgements(line / "photos", *CLASSES), bundle=line / "bundle", out=tmp_path)
    assert record["asked"] == {"bundle": str(line / "bundle"), "judged": 4, "undecided": 0, "unread": []}
    assert record["raters"] == ["anna", "ben", "net"]
    assert record["people"]["raters"] == 2
    assert [(row["first"], row["second"], row["same"]) for row in record["net"]] == [
        ("anna", "net", 0.75), ("ben", "net", 0.75),
    ]  # fmt: skip
    net = ["bright", "bright", "dark", "dark"]
    assert record["net"][0]["value"] == pytest.approx(cohen_kappa_score(["bright", "bright", "dark", "bright"], net))
    shots = {row["rater"]: row["same"] for row in record["parts"]}
    assert shots == {"anna": 0.5, "ben": 0.5, "net": 1.0}
    assert {row["path"]: row["net_differs"] for row in record["queue"]}["d.png"] is True
    assert record["sentences"][0] == "The bundle judged 4 of 4 photos."
    assert "net" in (tmp_path / "relabel.csv").read_text().splitlines()[0]


def test_verdicts_are_compared_where_people_say_verdicts_and_reviews_are_left_to_people(line):
    rows = ("a.png,p1,reject,reject", "c.png,p2,pass,pass", "d.png,p2,reject,pass", "e.png,p3,pass,pass")
    path = judgements(line / "photos", *rows)
    record = agree(path, bundle=line / "unsure", net="camera 1")
    assert {row["path"]: row["labels"].get("camera 1") for row in record["queue"]} == {"c.png": "pass", "d.png": None}
    assert record["sentences"][0] == (
        "The bundle judged 2 of 4 photos; 1 it leaves to a person, 1 could not be read (first: e.png, the file does "
        "not exist (any more))."
    )
    assert "camera 1 and anna: almost perfect agreement (kappa 1.00" in " ".join(record["sentences"])


def test_the_file_may_lie_elsewhere(line, tmp_path):
    path = judgements(tmp_path, *CLASSES)
    with pytest.raises(
        UserError,
        match=r'none that can be read: "a.png" is the file does not exist.* Name the folder that '
        r"the paths start from with --photos\.$",
    ):
        agree(path, bundle=line / "bundle")
    assert agree(path, bundle=line / "bundle", photos=line / "photos")["asked"]["judged"] == 4


def test_a_bundle_that_cannot_be_compared_is_refused(line, tmp_path):
    path = judgements(line / "photos", *CLASSES)
    with pytest.raises(
        UserError,
        match=r'name that no rater of .* has, got "anna"\. Call it otherwise with --net; or leave '
        r"--bundle out, where its labels stand in the file\.$",
    ):
        agree(path, bundle=line / "bundle", net="anna")
    with pytest.raises(UserError, match=r"--photos must stand beside --bundle.* Name the bundle that shall judge\.$"):
        agree(path, photos=line / "photos")
    numbers = write_brightness_bundle(tmp_path / "numbers", is_regression=True)
    with pytest.raises(
        UserError,
        match=r"one class to be compared with people.* Write its answers into a column of the file, "
        r"and name that with --net\.$",
    ):
        agree(path, bundle=numbers.path)
    wrong = judgements(line / "photos", "a.png,p1,brigth,dark")
    with pytest.raises(UserError, match='dark, bright or pass and reject, got "brigth"') as caught:
        agree(wrong, bundle=line / "bundle")
    assert caught.value.hint == 'Did you mean "bright"?'
