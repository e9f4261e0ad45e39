"""Judging a file: each id once, and whoever repeats one with other content is told the line."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from config.settings import load
from sidewatch.backfill import Report, Sender, batches, judged, run
from sidewatch.lines import lines, opened
from sidewatch.operator import OperatorError
from sidewatch.refused import Refused

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HEADER = "id,symbol,side,quantity,opened_at,closed_at,pnl"


def row(id_, pnl="1"):
    return f"{id_},X,long,1,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,{pnl}"


def judge(*rows, header=HEADER):
    report, seen, good = Report(), {}, []
    file = io.StringIO("\n".join([header, *rows]))
    for batch in batches(lines(file, Path("h.csv"), "b", None), report):
        good += judged(batch, report, seen, NOW)
    report.refused.settle()
    return [line.number for line in good], report


def test_it_tells_a_repeat_from_an_id_that_says_something_else():
    good, report = judge(row(7), row("x"), row(7, "1.00"), row(7, "2"), row("x", "5"))
    assert (good, report.repeated) == ([2, 3], 1)
    told = "stands in line {} with other content: ignored; a correction needs a higher `revision`"
    assert report.refused.first == [
        (5, f"id '7' {told.format(2)}"),
        (6, f"id 'x' {told.format(3)}"),
    ]


def test_it_shows_what_is_no_number():
    good, report = judge(row(1), row(2, "1.250.00"))
    assert good == [2]
    why = "pnl: '1.250.00' is no plain decimal number, as -12.5 or 1e-3 is"
    assert report.refused.first == [(3, why)]


@pytest.mark.parametrize(
    ("count", "told"), [(1, ["1 trade, closed", "1 symbol: X 1"]), (2, ["2 trades,", "1 symbol:"])]
)
def test_one_is_not_several(tmp_path, capsys, count, told):
    path = tmp_path / "h.csv"
    path.write_text("\n".join([HEADER, *map(row, range(count))]))
    assert imported(path)
    said = capsys.readouterr().out
    assert all(text in said for text in told)


def test_it_names_the_line_whose_row_is_too_long():
    good, report = judge(row(1), row(2, "1,250.00"))
    assert good == [2]
    why = "more cells than columns; a text with a comma needs quotes"
    assert report.refused.first == [(3, why)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("7," + "X" * 70_000, "field larger than field limit (65536)"),
        ('"7,X', "a quote that is not closed"),
        (row("NaN").replace("long", "up"), "side: expected long or short, not 'up'"),
    ],
)
def test_it_names_the_line_that_a_bad_row_begins_with(bad, why):
    _, report = judge(row(1), row('"two\nlines"'), bad)
    assert report.refused.first == [(5, why)]
    assert report.good == 2


@pytest.mark.parametrize("length", [30, 2_000])
@pytest.mark.parametrize(
    "stray",
    [
        {10: '"10'},
        {10: '"10', 20: '"20'},
        {10: '"10', 11: '"11', 12: '"12'},
        {10: '10,"', 12: '12,"'},
        {29: '"29'},
    ],
)
def test_a_stray_quote_takes_only_its_own_line(length, stray):
    rows = [row(number) for number in range(length)]
    for number, begins in stray.items():
        rows[number] = begins + rows[number].removeprefix(str(number))
    good, report = judge(*rows)
    assert good == [number + 2 for number in range(length) if number not in stray]
    assert [number - 2 for number, _ in report.refused.first] == list(stray)
    assert report.refused.first[0][1] == "a quote that is not closed"


def test_a_quote_that_closes_lines_later_takes_only_its_own_line():
    rows = [row(number) for number in range(9)]
    rows[3] = rows[3].replace(",X", ',"X')
    rows[5] = rows[5].replace(",X", ',X"')  # the cell ends here, as a symbol of three lines
    good, report = judge(*rows)
    assert good == [2, 3, 4, 6, 7, 8, 9, 10]
    assert report.refused.first == [(5, "a quote that is not closed")]


def test_it_reads_a_text_with_a_line_break_and_empty_lines():
    good, report = judge(
        row(1), "", row('"a\r\nb"'), "", row(2), row('"c\nd"').replace(",X", ',"X\nY"')
    )
    assert good == [2, 4, 7, 8]
    assert report.refused.first == []


def test_it_names_the_line_that_is_no_utf8(tmp_path):
    path = tmp_path / "h.csv"
    path.write_bytes(f"{HEADER}\n{row(1)}\n".encode() * 5_000 + b"\xe9\n")
    with pytest.raises(OperatorError, match="line 10001: not UTF-8 text"), opened(path) as file:
        file.read()


def test_it_says_which_separator_a_file_should_have():
    with pytest.raises(OperatorError, match="line 1: columns are separated by commas, not by ';'"):
        judge(row(1).replace(",", ";"), header=HEADER.replace(",", ";"))


def test_it_lists_the_columns_that_it_passes_over():
    _, report = judge(row(1) + ",a,b", header=HEADER + ",note,tag")
    assert list(report.passed) == ["note", "tag"]


def test_it_names_a_misspelt_column_before_anything_is_judged():
    with pytest.raises(
        OperatorError, match=r"h\.csv: line 1: unknown field `curency`: did you mean"
    ):
        judge(row(1) + ",EUR", header=HEADER + ",curency")


def test_it_reports_the_conflicts_of_the_answer_with_their_lines():
    def answer(_request):
        said = {"accepted": 0, "duplicates": 2, "rejected": []}
        return httpx.Response(200, json=said | {"conflicts": [{"index": 1, "error": "known"}]})

    settings = load(None, {"SIDEWATCH_INGEST_TOKEN": "b7Qm2xV9kLr4Tz8WcYp6NdHs3FgJ5aEu"})
    sender, report = Sender(settings, "http://127.0.0.1:1"), Report()
    sender.close()
    sender._client = httpx.Client(base_url="http://x", transport=httpx.MockTransport(answer))
    file = io.StringIO("\n".join([HEADER, row(1), "", row(2)]))
    [batch] = batches(lines(file, Path("h.csv"), "b", None), report)
    sender.send(batch, report)
    report.refused.settle()
    sender.close()
    assert (report.duplicates, report.refused.first) == (2, [(4, "known")])


STRAY = '{"accepted": 0, "duplicates": 0, "rejected": [{"index": 5, "error": "no such line"}]}'


@pytest.mark.parametrize(
    "said", ["<html>a router</html>", "[]", "{}", "null", '{"accepted": 1}', STRAY]
)
def test_it_says_when_what_answers_is_not_sidewatch(said):
    settings = load(None, {"SIDEWATCH_INGEST_TOKEN": "b7Qm2xV9kLr4Tz8WcYp6NdHs3FgJ5aEu"})
    sender = Sender(settings, "http://127.0.0.1:1")
    sender.close()
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, text=said))
    sender._client = httpx.Client(base_url="http://x", transport=transport)
    with pytest.raises(OperatorError, match=r"^http://127.0.0.1:1: 200: "):
        sender.send([], Report())
    sender.close()


@pytest.mark.parametrize("unreadable", ["7,X", row(7, "1,2")])
def test_it_keeps_few_of_many_refused_lines_and_writes_all_in_order(unreadable):
    listed = io.StringIO()
    report, waiting = Report(refused=Refused(listed)), []
    rows = [row(n, "NaN") if n % 2 else unreadable for n in range(4_000)]
    file = io.StringIO("\n".join([HEADER, *rows, *[unreadable] * 4_000]))
    for batch in batches(lines(file, Path("h.csv"), "b", None), report):
        judged(batch, report, {}, NOW)
        waiting.append(report.refused.unsettled)
    report.refused.settle()
    written = [json.loads(line)["line"] for line in listed.getvalue().splitlines()]
    assert (report.refused.count, report.good) == (8_000, 0)
    assert written == list(range(2, 8_002))
    assert [line for line, _ in report.refused.first] == list(range(2, 22))
    assert max(waiting) <= 1_000


def imported(path, refused_path=None, environment=None):
    options = {"bot": "b", "zone": None, "apply": False, "url": None}
    return run(load(None, environment or {}), path, refused_path=refused_path, **options)


@pytest.mark.parametrize(
    ("name", "content", "said"), [("h.csv", HEADER, "only a header"), ("h.jsonl", "\n", "no line")]
)
def test_it_says_that_a_file_has_no_trade(tmp_path, capsys, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    assert not imported(path)
    assert f"no trade: the file has {said}" in capsys.readouterr().out


@pytest.mark.parametrize(("days", "told"), [("0", False), ("30", True), ("36500", False)])
def test_a_dry_run_tells_what_retention_has_settled(tmp_path, capsys, days, told):
    path, now = tmp_path / "h.csv", datetime.now(UTC).isoformat()
    old = [row(number).replace("2026", "2016") for number in (1, 2)]
    path.write_text("\n".join([HEADER, *old, f"3,X,long,1,{now},{now},1"]))
    assert imported(path, environment={"SIDEWATCH__METRICS__RETENTION_DAYS": days})
    found = re.search("(.) closed before .*: refused where they", capsys.readouterr().out)
    assert (found is not None and found[1] == "2") == told


def test_it_does_not_list_refused_lines_over_the_file_itself(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text(HEADER)
    with pytest.raises(OperatorError, match="is the file to import"):
        imported(path, path)
    assert path.read_text() == HEADER
