"""Iterative stratification: which multi-label images to hold out, so that each label is represented.

Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011: the rarest label among
the remaining images goes first, because its needs cannot be met once the common ones are distributed; each of its
images goes to the side that lacks the label most. Here images that belong together are distributed as one.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence


def held_out(units: Sequence[Counter[str]], sizes: Sequence[int], need: Mapping[str, int]) -> set[int]:
    """Return the positions of the units to hold out.

    Args:
        units: how many images of each label a unit has; in the order of the draw, which decides among equals.
        sizes: how many images each has.
        need: how many images of each label should be held out.
    """
    open_, by_label = Counter[str](), defaultdict(list)
    for position, labels in enumerate(units):
        open_.update(labels)
        for label in labels:
            by_label[label].append(position)
    out = Counter({label: need.get(label, 0) for label in open_})
    kept = Counter({label: images - out[label] for label, images in open_.items()})
    share = sum(out.values()) / max(1, sum(open_.values()))
    room = {True: sum(sizes) * share, False: sum(sizes) * (1 - share)}
    chosen: dict[int, bool] = {}
    while left := [label for label, images in open_.items() if images > 0]:
        label = min(left, key=lambda label: (open_[label], label))
        # Large ones first: small ones can compensate for the error that they leave.
        for position in sorted(by_label[label], key=lambda position: -units[position][label]):
            if position in chosen:
                continue
            lacks = out[label] - kept[label]
            chosen[position] = lacks > 0 or (lacks == 0 and room[True] > room[False])
            (out if chosen[position] else kept).subtract(units[position])
            room[chosen[position]] -= sizes[position]
            open_.subtract(units[position])
    return {position for position, is_out in chosen.items() if is_out}
