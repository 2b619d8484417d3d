"""Copies are told from other pictures of the same kind, whatever the kind, with a bounded number of looks."""

from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from tests.tsukiji.curation.copies import CHANGES, KINDS, cut, photo
from tsukiji.curation import copies, duplicates, groups
from tsukiji.curation.analysis.similar import candidates, hash_views
from tsukiji.curation.copies import HIGHEST, LOWEST, Copies
from tsukiji.curation.duplicates import alike
from tsukiji.curation.groups import near_duplicates, parts
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.vision.likeness import likeness
from tsukiji.vision.miniature import BYTES, miniature_of
from tsukiji.vision.phash import greys_of, hash_greys

MANY = 50
PLANTED = (3, 17, 40)


def hashes_of(pictures):
    return hash_greys(np.stack([greys_of(picture) for picture in pictures]))


def asked(pictures, **fields):
    """Return a judge of these pictures."""
    miniatures = {str(number): miniature_of(picture) for number, picture in enumerate(pictures)}
    names = [sha256(pixels).hexdigest() for pixels in miniatures.values()]
    read = fields.pop("read", lambda ids: {image: miniatures[image] for image in ids})
    return Copies(list(miniatures), names, hashes_of(pictures), read, **fields)


def grouped(pictures):
    views = hash_views(np.stack([greys_of(picture) for picture in pictures]))
    roots = np.arange(len(pictures))
    asked(pictures).settle(roots, candidates(views, 0, lambda: None))
    return [part.tolist() for part in parts(roots) if len(part) > 1]


def items(pictures, label="a"):
    hashes = hashes_of(pictures)
    return [SnapshotItem(str(n), f"{n:064}", "", label, None, phash=f"{int(h):016x}") for n, h in enumerate(hashes)]


def reading(pictures):
    return lambda ids: {image: miniature_of(pictures[int(image)]) for image in ids}


@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_the_groups_and_nothing_else_is(kind):
    pictures = [KINDS[kind](seed) for seed in range(MANY)]
    expected = []
    for number in PLANTED:
        expected.append([number, *range(len(pictures), len(pictures) + len(CHANGES))])
        pictures += [change(pictures[number]) for change in CHANGES.values()]
    assert grouped(pictures) == expected


@pytest.mark.parametrize("kind", ["photos", "figures", "pages"])
@pytest.mark.parametrize("part", [0.03, 0.05, 0.08])
def test_a_copy_without_its_edges_is_found(kind, part):
    pictures = [KINDS[kind](seed) for seed in range(MANY)]
    pictures += [cut(pictures[number], part) for number in PLANTED]
    assert grouped(pictures) == [[number, MANY + place] for place, number in enumerate(PLANTED)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_keeps_copies_together_and_nothing_else(kind):
    pictures = [KINDS[kind](seed) for seed in range(MANY)]
    pictures += [CHANGES["recompressed"](pictures[number]) for number in PLANTED]
    found, broad = near_duplicates(items(pictures), reading(pictures))
    assert found == [[number, MANY + place] for place, number in enumerate(PLANTED)]
    assert not broad


def test_the_same_drawing_in_another_colour_is_another_picture():
    def disc(colour):
        picture = Image.new("RGB", (64, 64), "white")
        picture.paste(colour, (16, 20, 50, 46))
        return np.frombuffer(miniature_of(picture), np.uint8)[None]

    assert likeness(disc("#c02020"), disc("#c82828"))[0] > LOWEST
    assert likeness(disc("#c02020"), disc("#2020c0"))[0] == 0
    assert likeness(disc("#c02020"), disc("#505050"))[0] > LOWEST, "a grey copy may be of any colour"


def test_how_alike_copies_must_be_depends_on_how_alike_others_are():
    assert asked([photo(seed) for seed in range(MANY)]).wanted == LOWEST
    assert LOWEST < asked([KINDS["figures"](seed) for seed in range(MANY)]).wanted <= HIGHEST
    assert asked([KINDS["figures"](seed) for seed in range(5)]).wanted == LOWEST, "of so few nobody can say"


@pytest.mark.parametrize("chained", [False, True])
def test_a_chain_of_likenesses_is_one_group_only_where_that_is_wanted(chained):
    """Each picture shows a little less of its left side than the one before."""
    whole = photo(1).resize((640, 120))
    frames = [whole.crop((start, 0, 640, 120)).resize((160, 120)) for start in range(0, 400, 16)]
    judge, roots = asked(frames, chained=chained), np.arange(len(frames))
    judge.wanted = LOWEST
    judge.settle(roots, np.array([(n + 1, n) for n in range(len(frames) - 1)], np.intp))
    assert (max(map(len, parts(roots))) == len(frames)) is chained


def test_pairs_of_one_group_are_passed_over_and_different_ones_are_judged_once():
    read = []
    pictures = [photo(1), photo(1), photo(1), photo(2)]

    def reader(ids):
        read.append(ids)
        return reading(pictures)(ids)

    judge, roots = asked(pictures, read=reader), np.arange(4)
    kept, found = judge.settle(roots, np.array([[1, 0], [2, 1], [2, 0], [3, 0]]))
    assert roots.tolist() == [0, 0, 0, 3]
    assert len(kept) == len(found) == 3, "they stand in one block"
    read.clear()
    judge.settle(roots, np.array([[1, 0], [2, 0], [3, 0]]))
    assert not any(read)


def test_without_miniatures_the_hash_decides():
    pictures = [photo(1), photo(1), photo(2)]
    kept = {"0": miniature_of(photo(1)), "1": miniature_of(photo(3))}
    assert near_duplicates(items(pictures), lambda _: {})[0] == [[0, 1]]
    assert near_duplicates(items(pictures), lambda ids: {image: kept[image] for image in ids if image in kept})[0] == []


def test_many_different_pictures_of_one_hash_cost_a_bounded_number_of_looks(monkeypatch):
    """As drawings may have it: 1000 pictures in one bucket."""
    monkeypatch.setattr(groups, "LOOKS", 200)
    looks, random = [], np.random.default_rng(0)
    whole = [SnapshotItem(str(n), f"{n:064}", "", "a", None, phash=f"{2**32 - 1:016x}") for n in range(1000)]
    noise = {item.image_id: random.integers(0, 256, BYTES, dtype=np.uint8).tobytes() for item in whole}

    def counted(left, right, *rest):
        looks.append(len(left))
        return likeness(left, right, *rest)

    monkeypatch.setattr(copies, "likeness", counted)
    assert near_duplicates(whole, lambda ids: {image: noise[image] for image in ids}) == ([], frozenset())
    assert sum(looks) <= 200 + copies.SAMPLE * copies.OFFSETS


def test_each_hash_is_judged_with_its_closest_only():
    pairs = []
    hashes = np.zeros(1000, np.uint64)
    alike(hashes, 6, lambda _, left, right: pairs.append(len(left)))
    buckets, each = 7, duplicates.CLOSEST
    assert max(pairs) <= 1000 * each
    assert sum(pairs) <= buckets * 1000 * each


def test_it_stops_when_told():
    class Told(Exception):
        pass

    def stop():
        raise Told

    with pytest.raises(Told):
        asked([photo(1), photo(1)], check=stop).settle(np.arange(2), np.array([[1, 0]]))
