"""The rush at the door: who carries events on waits for it, but never for long."""

import anyio
import pytest

from actors.rush import FEW, LAG_MAX_S, QUIET_S, SHARE_S, Rush
from runtime.clock import LoopClock


class Clock:
    """A clock by hand."""

    def __init__(self):
        self.s = 100.0

    def monotonic(self):
        return self.s


def rush():
    clock = Clock()
    return Rush(clock), clock


def test_it_lets_events_be_carried_on_at_once_while_nobody_comes():
    passing, _ = rush()
    assert passing.wait_s(1_000) == 0.0


def test_it_holds_back_while_somebody_is_at_the_door_and_a_little_longer():
    passing, clock = rush()
    with passing.arrival():
        with passing.arrival():
            assert passing.wait_s(FEW + 1) == QUIET_S
        assert passing.wait_s(FEW + 1) == QUIET_S
    assert passing.wait_s(FEW + 1) == pytest.approx(QUIET_S)
    clock.s += 2 * QUIET_S
    assert passing.wait_s(FEW + 1) == 0.0


def test_it_never_holds_a_few_events_back():
    passing, _ = rush()
    with passing.arrival():
        assert passing.wait_s(FEW) == 0.0


def test_it_gives_those_who_wait_their_share_until_they_have_caught_up():
    passing, clock = rush()
    with passing.arrival():
        assert passing.wait_s(1_000) > 0
        clock.s += LAG_MAX_S
        assert passing.wait_s(1_000) == 0.0
        clock.s += 10.0
        assert passing.wait_s(100_000) == 0.0
        passing.caught_up()
        assert passing.wait_s(1_000) > 0


@pytest.mark.anyio
async def test_it_leaves_the_door_its_share_once_it_has_waited_long_enough():
    clock = LoopClock()
    passing = Rush(clock)
    with passing.arrival():
        began = clock.monotonic()
        await passing.give_way(1_000)
        assert clock.monotonic() - began == pytest.approx(LAG_MAX_S + SHARE_S, abs=QUIET_S)
        began = clock.monotonic()
        await passing.give_way(1_000)
        assert clock.monotonic() - began == pytest.approx(SHARE_S)
        await passing.give_way(FEW)
        assert clock.monotonic() - began == pytest.approx(SHARE_S)
    await anyio.sleep(QUIET_S)
    began = clock.monotonic()
    await passing.give_way(1_000)
    assert clock.monotonic() == began


def test_it_forgets_whoever_left_with_an_error():
    passing, clock = rush()
    with pytest.raises(ConnectionError), passing.arrival():
        raise ConnectionError
    clock.s += 2 * QUIET_S
    assert passing.wait_s(1_000) == 0.0
