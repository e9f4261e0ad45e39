"""Both backends for everything async: virtual time, unless a test is marked `real_time`."""

from __future__ import annotations

import pytest
import trio.testing
from hypothesis import settings

from tests.virtual import AutojumpLoop

# No property is about time: a busy machine must not fail one.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_generate_tests(metafunc):
    if "anyio_backend" not in metafunc.fixturenames:
        return
    backends = ["asyncio", "trio"]
    if metafunc.definition.get_closest_marker("asyncio_only"):
        backends = ["asyncio"]
    metafunc.parametrize("anyio_backend", backends, indirect=True)


@pytest.fixture
def anyio_backend(request):
    if request.node.get_closest_marker("real_time"):
        return request.param, {}
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": AutojumpLoop}
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
