"""`sidewatch import` as an owner meets it: a dry run with its report, then the real thing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.process import ROOT, TOKENS, Sidewatch, bearer, until

HEADER = ["id", "symbol", "side", "quantity", "opened_at", "closed_at", "pnl", "fee", "note"]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def row(number, pnl="2.5", **changed):
    closed = FIRST + timedelta(hours=number)
    cells = {
        "id": f"t{number}",
        "symbol": "BTC/USDT",
        "side": "long",
        "quantity": "1",
        "opened_at": (closed - timedelta(minutes=30)).isoformat(),
        "closed_at": closed.isoformat(),
        "pnl": pnl,
        "fee": "0.1",
        "note": "a column of the owner's",
    }
    return {**cells, **changed}


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, HEADER)
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    with Sidewatch(tmp_path_factory.mktemp("import") / "data") as running:
        yield running


def call(sidewatch, *arguments):
    env = {k: v for k, v in os.environ.items() if "SIDEWATCH" not in k}
    env |= {"SIDEWATCH_DATA_DIR": str(sidewatch.data_dir), **TOKENS}
    return subprocess.run(
        [sys.executable, "-m", "sidewatch", "import", "--url", sidewatch.url, *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_judges_the_whole_file_and_sends_nothing_by_default(sidewatch, tmp_path):
    rows = [row(n) for n in range(30)]
    rows += [row(30, pnl="NaN"), row(31, side="buy"), row(3)]
    done = call(sidewatch, "--bot", "dry", str(write_csv(tmp_path / "h.csv", rows)))
    assert done.returncode == 1
    assert (
        "h.csv: 30 trades, closed 2026-01-01T00:00:00+00:00 to 2026-01-02T05:00:00" in done.stdout
    )
    assert "P&L 75.0" in done.stdout
    assert "1 repeat an id" in done.stdout
    assert "refused: 2" in done.stdout
    assert "line 32: pnl: NaN is not a finite number" in done.stdout
    assert "line 33: " in done.stdout
    assert "dry run: nothing was sent" in done.stdout
    assert "dry" not in sidewatch.get("/api/v1/metrics/realtime")["bots"]


def test_it_sends_when_asked_to_and_twice_is_harmless(sidewatch, tmp_path):
    path = write_csv(tmp_path / "h.csv", [row(n) for n in range(1_200)])
    with sidewatch.live() as live:
        done = call(sidewatch, "--bot", "sent", "--apply", str(path))
        assert (done.returncode, done.stderr) == (0, "")
        assert "sent: 1200 accepted, 0 known before" in done.stdout
        until(live, lambda m: _trades(m, "sent") == 1_200)
    done = call(sidewatch, "--bot", "sent", "--apply", str(path))
    assert done.returncode == 0
    assert "sent: 0 accepted, 1200 known before" in done.stdout
    assert sidewatch.get("/api/v1/metrics/realtime", bot="sent")["bots"]["sent"]["trades"] == 1_200


def test_its_export_is_an_import(sidewatch, tmp_path):
    path = write_csv(tmp_path / "h.csv", [row(n) for n in range(700)])
    assert call(sidewatch, "--bot", "exported", "--apply", str(path)).returncode == 0
    answer = sidewatch.client.get(
        "/api/v1/trades.csv", params={"bot": "exported"}, headers=bearer("READ")
    )
    assert answer.headers["content-type"].startswith("text/csv")
    again = tmp_path / "again.csv"
    again.write_bytes(answer.content)
    done = call(sidewatch, "--apply", str(again))
    assert "sent: 0 accepted, 700 known before" in done.stdout
    bad = sidewatch.client.get(
        "/api/v1/trades.csv", params={"from": "soon"}, headers=bearer("READ")
    )
    assert (bad.status_code, "from" in bad.json()["error"]) == (422, True)
    assert sidewatch.client.get("/api/v1/trades.csv").status_code == 401


def _trades(message, bot):
    if message["type"] not in ("snapshot", "metrics_update"):
        return None
    figures = message["metrics"]["bots"].get(bot)
    return None if figures is None else figures["trades"]


def test_it_reads_json_lines_and_lists_what_it_refused(sidewatch, tmp_path):
    path, refused = tmp_path / "h.jsonl", tmp_path / "refused.jsonl"
    good = {k: v for k, v in row(1).items() if k != "note"}
    path.write_text("\n".join([json.dumps({**good, "bot": "lines"}), "", "{", "x" * 70_000]) + "\n")
    done = call(sidewatch, "--apply", "--refused", str(refused), str(path))
    assert done.returncode == 1
    assert "sent: 1 accepted" in done.stdout
    listed = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [item["line"] for item in listed] == [3, 4]
    assert "not a JSON object" in listed[0]["error"]
    assert "longer than" in listed[1]["error"]


@pytest.mark.parametrize(
    ("name", "content", "asked"),
    [
        ("h.csv", "id,pnl\n1,2\n", ["line 1: no column symbol, side, quantity, opened_at, bot"]),
        ("h.csv", "", ["--bot", "b", "no column id"]),
        ("h.txt", "x", ["--bot", "b", "needs to end in .csv"]),
        ("h.csv", b"id\xff", ["--bot", "b", "not UTF-8"]),
        ("h.csv", "id", ["--zone", "Mars/Olympus", "no such zone"]),
    ],
)
def test_it_names_what_makes_a_file_useless(sidewatch, tmp_path, name, content, asked):
    *arguments, said = asked
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = call(sidewatch, *arguments, str(path))
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_where_no_sidewatch_answers(tmp_path):
    path = write_csv(tmp_path / "h.csv", [row(1)])
    env = {**os.environ, "SIDEWATCH_DATA_DIR": str(tmp_path / "data"), **TOKENS}
    done = subprocess.run(
        [sys.executable, "-m", "sidewatch", "import", "--url", "http://127.0.0.1:1", "--bot", "b",
         "--apply", str(path)],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "http://127.0.0.1:1: " in done.stderr
