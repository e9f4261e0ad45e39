"""Readiness: what a start has found, and how far its figures are, beside what keeps it from it."""

from types import SimpleNamespace

import pytest

from actors.messages import RecordedRun
from actors.place import Position
from web.pages import remarks
from web.services import Services

HEAD = 38_995


def services(place, lost=0):
    store = SimpleNamespace(head=lambda: HEAD, stats=lambda: SimpleNamespace(lost=lost))
    studies = SimpleNamespace(place=place)
    known = SimpleNamespace(store=store, studies=studies, senders={"slack": None})
    known.unread = lambda: Services.unread(known)
    return known


def reader(handled):
    place = Position(reader="metrics", streams=("trade",))
    place.begin(handled)
    return place


def test_it_says_how_far_figures_are_that_still_read():
    place = reader(25_494)
    told = "figures still read: 25494 of 38995 entries of the journal"
    assert remarks(services(place)) == [told]
    assert remarks(services(place, lost=3)) == ["history lost: 3 events", told]
    place.told = place.sent = HEAD  # all of it waits in a mailbox
    assert remarks(services(place)) == [told]
    place.had(RecordedRun(HEAD - 1, [None, None], 0))
    assert remarks(services(place)) == []


@pytest.mark.parametrize(("handled", "count"), [(HEAD, 0), (HEAD - 64, 0), (HEAD - 65, 1)])
def test_a_few_events_on_their_way_are_no_remark(handled, count):
    assert len(remarks(services(reader(handled)))) == count


def test_it_says_that_nobody_would_hear_of_an_alert():
    known = services(None)
    known.senders = {}
    assert remarks(known) == ["no channel is on: no alert leaves this machine"]


def test_no_place_is_no_remark():
    assert remarks(services(None)) == []
