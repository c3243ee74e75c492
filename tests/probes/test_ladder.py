"""The plan of TTLs by itself: a clock of the test's own, and a path that is a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.system.ladder import Ladder

#: What a TTL brings: a sender, and whether it is final; ``None`` for silence.
Answer = tuple[str, bool] | None


def walk(ladder: Ladder, answer: Callable[[int, int], Answer], rtt_s: float = 0.01) -> tuple[float, list[int]]:
    """Follow a plan on a path; return how long it took, and the TTLs sent in their order."""
    now, sent = 0.0, []
    coming: list[tuple[float, int, str, bool]] = []
    for _ in range(10_000):
        for due in sorted(one for one in coming if one[0] <= now):
            coming.remove(due)
            ladder.answered(due[1], rtt_s, due[2], final=due[3])
        turn = ladder.turn(now)
        if turn.ttl is not None:
            sent.append(turn.ttl)
            ladder.sent(turn.ttl, now)
            found = answer(turn.ttl, sent.count(turn.ttl))
            if found is not None:
                coming.append((now + rtt_s, turn.ttl, *found))
        elif turn.wait_s is not None:
            assert turn.wait_s > 0
            now += min(turn.wait_s, min((one[0] for one in coming), default=now + 9) - now + 1e-6)
        else:
            return now, sent
    pytest.fail("the plan does not end")


def straight(length: int) -> Callable[[int, int], Answer]:
    """Return a path whose target is hop ``length``."""
    return lambda ttl, _n: (f"r{ttl}", False) if ttl < length else ("target", True)


@pytest.mark.parametrize("length", [1, 2, 4, 5, 9, 17, 30])
@pytest.mark.parametrize("rtt_s", [0.0001, 0.02, 0.2])
def test_a_clear_path_takes_one_packet_a_hop_and_few_beyond(length: int, rtt_s: float) -> None:
    ladder = Ladder(30, 3, 0.8)
    took_s, sent = walk(ladder, straight(length), rtt_s)
    assert ladder.end == length
    assert set(range(1, length + 1)) <= set(sent)
    assert len([ttl for ttl in sent if ttl > length]) <= 4
    assert took_s <= (length // 4 + 1) * (rtt_s + 0.02) + 0.3


def test_a_near_target_is_hit_once_when_it_answers_quickly() -> None:
    _took, sent = walk(Ladder(30, 3, 0.8), straight(2), 0.0005)
    assert sent == [1, 2]


def test_nothing_at_all_is_given_up_soon() -> None:
    took_s, sent = walk(Ladder(30, 3, 0.8), lambda _ttl, _n: None)
    assert took_s <= 1.5
    assert len(sent) <= 18


def test_silence_behind_the_last_answer_is_tried_twice_and_waited_for() -> None:
    took_s, sent = walk(Ladder(30, 3, 0.8), lambda ttl, _n: (f"r{ttl}", False) if ttl < 4 else None)
    assert {ttl: sent.count(ttl) for ttl in sent} == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, 30: 1}
    assert 1.1 <= took_s <= 1.5


def test_a_silent_hop_below_the_end_is_tried_as_often_as_allowed() -> None:
    ladder = Ladder(30, 3, 0.8)
    _took, sent = walk(ladder, lambda ttl, n: None if ttl == 2 else straight(6)(ttl, n))
    assert sent.count(2) == 3
    assert ladder.end == 6


def test_a_limited_hop_answers_after_a_second() -> None:
    started: list[int] = []

    def answer(ttl: int, number: int) -> Answer:
        started.append(ttl)
        return None if ttl == 2 and number < 3 else straight(4)(ttl, number)

    took_s, sent = walk(Ladder(30, 3, 0.8), answer)
    assert sent.count(2) == 3
    assert took_s >= 1.05


def test_the_least_ttl_of_the_end_is_found_when_its_first_answer_is_lost() -> None:
    ladder = Ladder(30, 3, 0.8)
    walk(ladder, lambda ttl, n: None if (ttl, n) == (4, 1) else straight(4)(ttl, n))
    assert ladder.end == 4


def test_an_end_behind_many_silent_hops_is_looked_for_from_the_far_side() -> None:
    ladder = Ladder(30, 2, 0.8)
    walk(ladder, lambda ttl, _n: ("target", True) if ttl >= 14 else None)
    assert ladder.end == 14


def test_a_loop_ends_after_about_three_rounds() -> None:
    ladder = Ladder(30, 3, 0.8)
    _took, sent = walk(ladder, lambda ttl, _n: (f"r{ttl if ttl < 3 else 3 + ttl % 2}", False))
    assert ladder.looping
    assert max(sent) <= 12


def test_a_path_longer_than_allowed_ends_at_the_bound() -> None:
    ladder = Ladder(6, 3, 0.8)
    _took, sent = walk(ladder, straight(20))
    assert (ladder.end, max(sent)) == (None, 6)


def test_what_others_found_is_taken_over() -> None:
    ladder = Ladder(30, 3, 0.8)
    walked: list[int] = []

    def answer(ttl: int, _n: int) -> Answer:
        walked.append(ttl)
        if ttl == 4:
            ladder.found_elsewhere(4, [3, 4])
        return (f"r{ttl}", False) if ttl < 3 else None

    took_s, _sent = walk(ladder, answer)
    assert took_s < 0.3
    assert max(walked) == 4
