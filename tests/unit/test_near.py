"""A server on this machine: asked directly, whatever proxies the environment names."""

import pytest

from sidewatch.near import is_near


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:80", "http://[::1]:9"])
def test_it_knows_loopback(url):
    assert is_near(url)


@pytest.mark.parametrize("url", ["http://192.0.2.7:8000", "https://bot.example", "http://[x", ""])
def test_it_takes_nothing_else_for_it(url):
    assert not is_near(url)
