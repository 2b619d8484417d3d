import re

import pytest

from devtools.scripted_service import evaluation, job, model, page
from tsukiji.cli.files import written

EPOCHS = [
    {"epoch": number, "train_loss": 1 / number, "valid_loss": 0.5, "accuracy": 0.9, "seconds": 1} for number in (1, 2)
]


@pytest.fixture
def known(service):
    """A model with a training of two epochs, two mistakes, and the picture of one of them."""
    wrong = {"seq": 0, "image_id": "img_1", "name": "<cat>.png", "sha256": "0", "score": 0.95, "loss": 3.0}
    wrong |= {"true_label": "cat", "true_labels": ["cat"], "predicted_label": "dog", "predicted_labels": ["dog"]}
    service.answer("GET", "/v1/models/pets", model(training_id="trn_1", name="pets & co"))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/evaluations/evl_1/items", page(wrong, wrong | {"image_id": "img_gone"}))
    service.answer("GET", "/v1/images/img_1/content", b"webp")
    service.answer("GET", "/v1/trainings/trn_1", job("succeeded"))
    service.answer("GET", "/v1/trainings/trn_1/metrics", page(*EPOCHS))
    service.answer("GET", "/v1/models/mdl_1/suspects", page())
    return service


def test_one_file_holds_matrix_curves_mistakes_and_advice(known, run, tmp_path):
    target = tmp_path / "report.html"
    assert run("report", "pets", "-o", target).exit_code == 0
    html = target.read_text("utf-8")
    assert "<strong>75.0%</strong> of 4 held-out images are labelled correctly" in html
    assert re.findall(r'style="--share:([\d.]+)">(\d+)<', html) == [
        ("1.000", "2"),
        ("0.000", "0"),
        ("0.500", "1"),
        ("0.500", "1"),
    ]
    assert "Loss by epoch" in html
    assert 'src="data:image/webp;base64,d2VicA=="' in html
    assert "deleted" in html
    assert "tsukiji models mistakes &#x27;pets &amp; co&#x27;" in html, "it is sure of its mistakes"
    assert "Most confused: 1 image is “dog” and taken for “cat”" in html
    assert "tsukiji models promote" in html


def test_the_file_runs_nothing_and_loads_nothing(known, run, tmp_path):
    run("report", "pets", "-o", tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in html
    assert "&lt;cat&gt;.png" in html, "names are text"
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|url\(|@import", html)
    assert set(re.findall(r'(?:src|href)="(\w+:)', html)) == {"data:"}
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html


def test_a_model_of_many_labels_lists_its_most_confused_pairs(known, run, tmp_path):
    names = [f"kind {number}" for number in range(100)]
    confusion = [[9 if row == column else 0 for column in range(100)] for row in range(100)]
    confusion[3][4], confusion[5][6] = 1, 2
    metrics = evaluation()["metrics"] | {"label_names": names, "confusion": confusion}
    known.answer("GET", "/v1/evaluations/evl_1", evaluation(metrics=metrics))
    run("report", "pets", "-o", tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "--share:" not in html.partition("</style>")[2]
    assert html.index("<td>kind 5</td><td>kind 6</td>") < html.index("<td>kind 3</td><td>kind 4</td>")


def test_a_model_without_an_evaluation(known, run, tmp_path):
    known.answer("GET", "/v1/models/pets", model(evaluation_id=None))
    result = run("report", "pets", "-o", tmp_path / "report.html")
    assert result.exit_code == 2
    assert "tsukiji models evaluate" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("the last one")

    def fill():
        with written(target) as file:
            file.write("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert target.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [target]
