"""Facts B, cases 14 to 20: what is refused before anything starts."""

import math

import pytest

from runtime.mailbox import MailboxPolicy
from runtime.restart import Backoff
from runtime.spec import ChildSpec, DynamicSpec, SpecError, SupervisorSpec
from runtime.system import System
from tests.unit.supervision.kit import Probe, dynamic, left_running, running, supervisor, worker


def refused(code, build, /, **options):
    with pytest.raises(SpecError) as caught:
        build(**options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"id": ""}, "missing_id"),
        ({"id": None}, "missing_id"),
        ({"id": "a/b"}, "bad_id"),
        ({"start": None}, "bad_start"),
        ({"start": "Probe"}, "bad_start"),
        ({"restart": "always"}, "bad_restart"),
        ({"shutdown": -1}, "bad_shutdown"),
        ({"shutdown": "soon"}, "bad_shutdown"),
        ({"shutdown": True}, "bad_shutdown"),
        ({"shutdown": math.nan}, "bad_shutdown"),
        ({"max_crashes": 0}, "bad_max_crashes"),
        ({"stuck_after_s": 0}, "bad_stuck_after"),
        ({"start_within_s": -1}, "bad_start_within"),
    ],
)
def test_it_014_refuses_a_bad_child(options, code):
    refused(code, ChildSpec, **{"id": "a", "start": Probe, **options})


@pytest.mark.parametrize("options", [{"start": Probe}, {"id": "a"}])
def test_it_014_refuses_a_child_without_id_or_start(options):
    with pytest.raises(TypeError, match="missing 1 required"):
        ChildSpec(**options)


def test_it_014_refuses_what_is_no_specification():
    # OTP: bad child type. Ours has no type field: the class of the specification is the type.
    refused("bad_child", SupervisorSpec, id="root", children=["a"])


@pytest.mark.parametrize(
    "options",
    [
        {"capacity": 0},
        {"capacity": 1.5},
        {"when_full": "explode"},
        {"when_full": "coalesce"},
        {"key": str},
    ],
)
def test_it_014_refuses_a_bad_mailbox(options):
    with pytest.raises(ValueError, match="mailbox"):
        MailboxPolicy(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"min_s": 0},
        {"min_s": 2, "max_s": 1},
        {"factor": 0.5},
        {"jitter": 2},
        {"jitter": -0.1},
        {"reset_after_s": -1},
    ],
)
def test_it_014_refuses_a_bad_backoff(options):
    with pytest.raises(ValueError, match="backoff"):
        Backoff(**options)


def test_it_015_refuses_two_children_of_one_id():
    refused("duplicate_child", supervisor_of, ids="aba")


def supervisor_of(ids):
    return supervisor(*(worker(i, []) for i in ids))


@pytest.mark.anyio
async def test_it_015_refuses_two_actors_of_one_name():
    inner = supervisor(worker("a", [], name="x"), id="inner")
    with pytest.raises(ValueError, match="the name 'x' is taken"):
        async with System(supervisor(worker("b", [], name="x"), inner)):
            pytest.fail("it started")
    assert left_running() == []


@pytest.mark.anyio
async def test_it_015_refuses_to_start_a_child_under_a_taken_name():
    log = []
    async with running(supervisor(worker("a", log, name="x"))) as run:
        for spec in (worker("b", log, name="x"), supervisor(worker("b", log, name="x"), id="c")):
            with pytest.raises(ValueError, match="the name 'x' is taken"):
                await run.admin().start_child(spec)
        assert await run.admin().which_children() == [("a", "running")]
        await run.tell("x", "still here")
    assert log == ["+x#1", "x:still here", "-x"]


@pytest.mark.anyio
async def test_it_015_refuses_two_supervisors_of_one_name():
    twice = supervisor(supervisor(id="a", name="x"), supervisor(id="b", name="x"))
    with pytest.raises(ValueError, match="the name 'x' is taken"):
        async with System(twice):
            pytest.fail("it started")
    async with running(supervisor(supervisor(id="a", name="x"))) as run:
        with pytest.raises(ValueError, match="the name 'x' is taken"):
            await run.admin().start_child(supervisor(id="b", name="x"))
        assert await run.counts("x") == [0, 0, 0, 0]


@pytest.mark.parametrize("build", [supervisor, lambda **o: dynamic(worker("t", []), **o)])
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"intensity": -1}, "bad_intensity"),
        ({"intensity": 1.5}, "bad_intensity"),
        ({"intensity": True}, "bad_intensity"),
        ({"period_s": 0}, "bad_period"),
        ({"period_s": -1}, "bad_period"),
        ({"period_s": math.inf}, "bad_period"),
        ({"period_s": math.nan}, "bad_period"),
        ({"period_s": "5"}, "bad_period"),
        ({"auto_shutdown": "sometimes"}, "bad_auto_shutdown"),
        ({"id": ""}, "missing_id"),
        ({"id": "a/b"}, "bad_id"),
        ({"restart": "always"}, "bad_restart"),
        ({"shutdown": -1}, "bad_shutdown"),
    ],
)
def test_it_016_refuses_bad_flags(build, options, code):
    refused(code, build, **options)


def test_it_016_refuses_a_bad_strategy():
    refused("bad_strategy", supervisor, strategy="all_for_one")


@pytest.mark.parametrize(
    "build",
    [
        lambda: worker("a", [], silly_flag=1),
        lambda: supervisor(silly_flag=1),
        lambda: dynamic(worker("t", []), silly_flag=1),
        lambda: dynamic(worker("t", []), strategy="one_for_all"),
    ],
)
def test_it_017_refuses_unknown_options(build):
    # OTP ignores them; we are stricter.
    with pytest.raises(TypeError, match="unexpected keyword"):
        build()


def test_it_018_refuses_a_significant_permanent_child():
    refused("bad_combination", ChildSpec, id="a", start=Probe, significant=True)
    refused("bad_combination", supervisor, significant=True)


def test_it_019_refuses_a_significant_child_where_nothing_shuts_down():
    child = worker("a", [], restart="transient", significant=True)
    refused("bad_combination", SupervisorSpec, id="root", children=[child])
    refused("bad_combination", DynamicSpec, id="root", template=child)


@pytest.mark.anyio
async def test_it_019_refuses_to_start_a_significant_child_where_nothing_shuts_down():
    async with running(supervisor()) as run:
        with pytest.raises(SpecError, match="bad_combination"):
            await run.admin().start_child(worker("a", [], restart="transient", significant=True))
        assert await run.admin().which_children() == []


@pytest.mark.parametrize("template", [None, [], [worker("a", []), worker("b", [])], supervisor()])
def test_it_020_needs_exactly_one_template(template):
    refused("bad_start_spec", DynamicSpec, id="root", template=template)


def test_it_020_needs_a_template_at_all():
    with pytest.raises(TypeError, match="missing 1 required"):
        DynamicSpec(id="root")
