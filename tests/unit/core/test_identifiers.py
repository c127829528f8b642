"""Names made of time and dice."""

import os
from collections import Counter

from keyturn.core.identifiers import in_bulk


def test_dice_in_bulk_give_each_byte_once():
    """What is drawn in bulk is what the dice gave, in order, each byte once, however much is asked for."""
    given = []

    def dice(count):
        given.append(os.urandom(count))
        return given[-1]

    draw = in_bulk(dice)
    drawn = [draw(count) for count in [10] * 1000 + [12, 5000, 1]]
    assert [len(each) for each in drawn] == [10] * 1000 + [12, 5000, 1]
    assert len(given) < 10
    rest = b"".join(given)
    for each in drawn:
        _, found, rest = rest.partition(each)
        assert found == each
    assert max(Counter(drawn[:1000]).values()) == 1
