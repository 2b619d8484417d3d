import numpy as np
import pytest

from db import probabilities
from db.parts import tables
from db.probabilities import EXACT_LABELS


def shares(labels):
    return np.random.default_rng(0).dirichlet(np.full(labels, 0.2)).astype("<f4")


@pytest.mark.parametrize("labels", [1, 2, EXACT_LABELS])
def test_few_labels_are_kept_exactly(labels):
    values = shares(labels)
    kept = probabilities.narrow(values.tobytes())
    assert np.array_equal(probabilities.read(kept, labels), values)


@pytest.mark.parametrize("labels", [EXACT_LABELS + 1, 500])
def test_many_labels_take_half_the_bytes_and_lose_little(labels):
    values = shares(labels)
    kept = probabilities.narrow(values.tobytes())
    found = probabilities.read(kept, labels)
    assert len(kept) == 2 * labels
    assert found.dtype == np.float32
    likely = values > 1e-4
    assert np.abs(found[likely] / values[likely] - 1).max() < 0.0005
    assert np.abs(found - values).max() < 0.00025
    assert found.sum() == pytest.approx(1, abs=0.001)


def test_no_probabilities():
    assert probabilities.narrow(None) is None
    assert probabilities.read(None, 3).size == 0


@pytest.mark.parametrize("labels", [3, 60])
def test_a_column_of_parts_has_what_rows_have(labels):
    rows = np.random.default_rng(0).random((2, labels), np.float32)
    found = [rows[0].tobytes(), None, rows[1].tobytes()]
    expected = [
        None if row is None else probabilities.read(probabilities.narrow(row), labels).tolist() for row in found
    ]
    assert tables.chances_column(found).to_pylist() == expected
    assert tables.chances_column([None, None]).to_pylist() == [None, None]
