"""A trigger of the operator's own and its route, in a real process, from its settings file on."""

from tests.acceptance.process import Sidewatch, trade, until
from tests.fakes.http import ThreadedFake
from tests.fakes.slack import FakeSlack

SETTINGS = """
starting_equity = 1000

[routes]
critical = "none"

[slack]
enabled = true
webhook_url = "{slack}"

[console]
enabled = true

[triggers.deep]
when = "drawdown > 0.05 and losses_in_a_row >= 2 and not kill_switch_active"
text = "Too deep."
severity = "info"
channels = ["slack"]
"""


def delivered(message):
    deliveries = message["alert"]["deliveries"] if "alert" in message else []
    return [d["state"] for d in deliveries] == ["delivered"]


def test_it_fires_on_its_route_and_resolves_while_others_stay_on_the_page(tmp_path):
    with ThreadedFake(FakeSlack) as slack:
        settings = tmp_path / "sidewatch.toml"
        settings.write_text(SETTINGS.format(slack=slack.url))
        run = Sidewatch(tmp_path / "data", {"SIDEWATCH_CONFIG": str(settings)})
        with run as sidewatch:
            with sidewatch.live() as socket:
                for number in range(2):
                    sidewatch.post(trade(number, -40))
                until(socket, delivered)
            sidewatch.restart_after_kill()
            sidewatch.post(trade(2, 60))
            slack.wait_for_messages(2, 15)
            alerts = sidewatch.get("/api/v1/alerts")["alerts"]
        fired, over = (str(message) for message in slack.messages)
        assert "Deep: drawdown > 0.05 and losses_in_a_row >= 2" in fired.replace("&gt;", ">")
        assert "Too deep. Now: drawdown 0.08, losses_in_a_row 2, kill_switch_active no." in fired
        assert "RESOLVED" in over
        told = {a["trigger"]: [d["channel"] for d in a["deliveries"]] for a in alerts}
        assert told.pop("deep") == ["slack", "slack"]
        assert "drawdown_day" in told
        assert not any(told.values())
