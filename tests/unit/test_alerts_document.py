"""docs/alerts.md says what there is, and its examples work."""

from __future__ import annotations

import re

import pytest

from actors.alerts import figures
from config.alerting import TRIGGERS
from sidewatch.policy import own_triggers
from tests.settings import BOT_TOKEN, HOME, ROOT, SLACK, from_toml

TEXT = (ROOT / "docs" / "alerts.md").read_text()
ON = HOME | {
    "ALERTS_SLACK_ENABLED": "1",
    "SLACK_WEBHOOK_URL": SLACK,
    "ALERTS_TELEGRAM_ENABLED": "1",
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
    "TELEGRAM_CHAT_ID": "1",
    "SIDEWATCH__PAGERDUTY__ENABLED": "1",
    "SIDEWATCH__PAGERDUTY__ROUTING_KEY": "0123456789abcdef0123456789abcdef",
}


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL))
def test_it_shows_examples_that_are_good(tmp_path, example):
    settings = from_toml(tmp_path, example, ON)
    own_triggers(settings)


def test_it_names_every_trigger_and_every_figure():
    assert [name for name in TRIGGERS if f"`{name}`" not in TEXT] == []
    assert [name for name in figures.NAMES if f"`{name}`" not in TEXT] == []


def test_it_is_complete_about_what_the_source_fires():
    fired = set()
    for folder in ("actors", "sidewatch"):
        for path in (ROOT / folder).rglob("*.py"):
            fired |= set(re.findall(r'trigger="([a-z_]+)"', path.read_text()))
    assert fired - {"digest"} <= set(TRIGGERS)
    assert len(fired) > 8
