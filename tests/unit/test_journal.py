"""The journal: dense seqs, each key once, runs that read like rows; an older file is brought up."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import LoopClock
from runtime.store import Entry, Run, Store, StoreCorrupt, Tx, schema
from runtime.store import journal as journal_module

VERSION_1 = """
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    key TEXT,
    at REAL NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_key ON journal (key) WHERE key IS NOT NULL;
CREATE INDEX journal_stream ON journal (stream, seq);
"""


def opened():
    link = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(link, fresh=True)
    return Tx(link).journal


@pytest.fixture
def journal():
    return opened()


def lines(first, last):
    return b"\n".join(b"%d" % n for n in range(first, last + 1))


def keys(first, last):
    return [f"k{n}" for n in range(first, last + 1)]


def shown(rows):
    return [(row.seq, row.data) for row in rows]


def test_it_gives_the_events_of_a_run_seqs_of_their_own(journal):
    assert journal.append([Entry("trade", b"1", 1.0, "k1")]) == [1]
    assert journal.append_run("trade", 2.0, lines(2, 4), keys(2, 4)) == []
    assert journal.append_run("equity", 3.0, lines(5, 6), [None, None]) == []
    assert journal.append([Entry("trade", b"7", 4.0)]) == [7]
    assert shown(journal.read(0, 10)) == [(n, b"%d" % n) for n in range(1, 8)]
    assert [row.at for row in journal.read(1, 4)] == [2.0, 2.0, 2.0, 3.0]
    assert (journal.head(), journal.count("trade"), journal.count("equity")) == (7, 5, 2)
    assert shown(journal.last("trade", 3)) == [(7, b"7"), (4, b"4"), (3, b"3")]


def test_it_reads_on_from_within_a_run(journal):
    journal.append_run("trade", 1.0, lines(1, 5), keys(1, 5))
    assert shown(journal.read(3, 10)) == [(4, b"4"), (5, b"5")]
    assert shown(journal.read(3, 1)) == [(4, b"4")]
    assert journal.runs(3, 10) == [Run(4, 2, "trade", 1.0, b"4\n5")]
    assert journal.runs(5, 10) == []


def test_it_joins_the_runs_of_one_stream_that_follow_one_another(journal):
    journal.append([Entry("trade", b"1", 1.0), Entry("trade", b"2", 2.0)])
    journal.append_run("trade", 3.0, lines(3, 5), keys(3, 5))
    journal.append([Entry("trade", "\u00e9".encode(), 4.0), Entry("equity", b"7", 5.0)])
    assert journal.joined(0, 5) == Run(1, 5, "trade", 3.0, lines(1, 5))
    assert journal.joined(1, 4) == Run(2, 4, "trade", 3.0, lines(2, 5))
    assert journal.joined(0, 4) == Run(1, 2, "trade", 2.0, lines(1, 2))  # the third does not fit
    assert journal.joined(5, 1) == Run(6, 1, "trade", 4.0, "\u00e9".encode())


def test_it_joins_no_runs_of_several_streams_nor_over_a_gap_nor_within_one(journal):
    journal.append_run("trade", 1.0, lines(1, 3), keys(1, 3))
    journal.append([Entry("bad", b"4", 1.0), Entry("bad", b"5", 1.0), Entry("trade", b"6", 1.0)])
    assert journal.joined(0, 9) is None
    assert journal.joined(1, 9) is None
    assert journal.joined(0, 2) is None
    assert journal.joined(6, 9) is None
    assert journal.trim("bad", 1) == 1
    assert journal.joined(3, 2) is None
    assert journal.joined(4, 1) == Run(5, 1, "bad", 1.0, b"5")


def test_it_joins_no_rows_that_sqlite_had_in_another_order(journal, monkeypatch):
    journal.append([Entry("trade", b"%d" % n, 1.0) for n in range(1, 4)])
    assert journal.joined(0, 9) == Run(1, 3, "trade", 1.0, lines(1, 3))
    backwards = journal_module.JOINED.replace("ORDER BY seq", "ORDER BY seq DESC")
    monkeypatch.setattr(journal_module, "JOINED", backwards)
    assert journal.joined(0, 9) is None
    assert journal.joined(2, 9) == Run(3, 1, "trade", 1.0, b"3")


def test_it_stops_reading_with_the_run_that_fills_the_limit(journal):
    for first in (1, 4, 7):
        journal.append_run("trade", 1.0, lines(first, first + 2), keys(first, first + 2))
    assert [(run.seq, run.last) for run in journal.runs(0, 4)] == [(1, 3), (4, 6)]
    assert [(run.seq, run.last) for run in journal.runs(1, 2)] == [(2, 3)]
    assert [(run.seq, run.last) for run in journal.runs(1, 3)] == [(2, 3), (4, 6)]
    assert [run.stream for run in journal.runs(0, 9, ["equity"])] == []


def test_it_leaves_duplicates_out_of_a_run(journal):
    journal.append([Entry("trade", b"2", 1.0, "k2")])
    given = b"1\n2\n3\n3\n4"
    assert journal.append_run("trade", 2.0, given, ["k1", "k2", "k3", "k3", None]) == [1, 3]
    assert shown(journal.read(1, 10)) == [(2, b"1"), (3, b"3"), (4, b"4")]
    assert journal.append_run("trade", 3.0, lines(1, 3), keys(1, 3)) == [0, 1, 2]
    assert journal.head() == 4
    assert journal.append_run("trade", 3.0, b"9", ["k1"]) == [0]


def test_it_tells_keys_apart_that_differ_behind_a_nul(journal):
    awkward = ["k\x00a", "k\x00b", "k", "\\u0000", 'k"', "k\n", "ü\U0001f600"]
    assert journal.append_run("trade", 1.0, lines(1, 7), awkward) == []
    assert journal.append_run("trade", 2.0, lines(1, 7), awkward) == list(range(7))
    assert journal.append_run("trade", 2.0, lines(1, 5), awkward[2:]) == list(range(5))


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f\x00", None]), max_size=6)))
def test_it_knows_what_was_said_before_as_one_by_one(batches):
    whole, single = opened(), opened()
    for batch in batches:
        found = whole.append_run("trade", 0.0, b"\n".join([b"x"] * len(batch)), batch)
        seqs = single.append([Entry("trade", b"x", 0.0, key) for key in batch])
        assert found == [place for place, seq in enumerate(seqs) if seq is None]
    assert shown(whole.read(0, 1_000)) == shown(single.read(0, 1_000))


def test_it_finds_what_keys_came_with(journal):
    assert journal.earlier(["k1"], 100) == b""
    journal.append([Entry("trade", b"1", 1.0, "k1")])
    journal.append_run("trade", 2.0, lines(2, 4), [*keys(2, 3), None])
    journal.append_run("equity", 3.0, b"5", [None])
    assert journal.append_run("trade", 4.0, lines(6, 8), ["k6", "k2", "k8"]) == [1]
    assert journal.append_run("flow", 4.0, b"9", ["k9"]) == []
    found = {key: journal.earlier([key], 100) for key in ("k1", "k3", "k6", "k8", "k9", "k7")}
    assert found == {
        "k1": b"1", "k3": b"2\n3\n4", "k6": b"6\n8", "k8": b"6\n8", "k9": b"9", "k7": b""
    }  # fmt: skip
    assert journal.earlier(["k8", "k1", "k2"], 100) == b"1\n2\n3\n4\n6\n8"


def test_it_finds_no_more_than_a_bound_of_bytes(journal):
    for n in range(1, 6):
        journal.append([Entry("trade", b"%d" % n * 10, 1.0, f"k{n}")])
    assert journal.earlier(keys(1, 5), 30) == b"\n".join(b"%d" % n * 10 for n in (1, 2, 3))
    assert journal.earlier(keys(1, 5), 9) == b"1" * 10


def test_it_finds_one_run_whatever_its_size(journal):
    journal.append_run("trade", 1.0, lines(1, 40), keys(1, 40))
    assert journal.earlier(["k40"], 9) == lines(1, 40)


def test_it_takes_no_other_run_for_one_that_is_gone(journal):
    journal.append_run("trade", 1.0, b"1\n2", ["k1", "k2"])
    journal.append_run("equity", 2.0, b"3\n4", ["k3", "k4"])
    journal.trim("trade", 0)
    assert journal.earlier(["k1", "k2"], 100) == b""
    assert journal.earlier(["k2", "k3"], 100) == b"3\n4"


def test_it_finds_no_key_with_a_nul_and_none_whose_run_is_gone(journal):
    journal.append_run("trade", 1.0, b"1\n2", ["k\0a", "k"])
    assert journal.earlier(["k\0a"], 100) == b""
    assert journal.earlier(["k\0a", "k"], 100) == b"1\n2"
    journal.trim("trade", 0)
    assert journal.earlier(["k"], 100) == b""
    assert journal.append_run("trade", 1.0, b"x", ["k"]) == [0]


def test_it_never_gives_a_seq_again(journal):
    journal.append_run("rejected", 1.0, lines(1, 3), [None] * 3)
    assert journal.trim("rejected", 0) == 1
    assert journal.append([Entry("rejected", b"x", 1.0)]) == [4]
    assert journal.append_run("rejected", 1.0, lines(5, 6), [None] * 2) == []
    assert shown(journal.last("rejected", 1)) == [(6, b"6")]


def old_file(path):
    link = sqlite3.connect(path, isolation_level=None)
    before = "queue_work ON queue (topic, state, priority DESC, due)"
    today = "queue_order ON queue (topic, state, priority DESC, created, id, due)"
    assert today in schema.SCHEMA
    current = schema.SCHEMA.replace(today, before).partition("CREATE TABLE queue")
    link.executescript(VERSION_1 + current[1] + current[2])
    link.execute("INSERT INTO journal VALUES (3, 'trade', 'trade|b|1|0', 1.0, x'31')")
    link.execute("INSERT INTO journal VALUES (5, 'equity', NULL, 2.0, x'32')")
    link.execute("INSERT INTO state VALUES ('cursor/metrics', x'35')")
    link.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    link.execute("PRAGMA user_version=1")
    return link


def test_it_brings_an_older_file_up_to_date(tmp_path):
    with old_file(tmp_path / "s.db") as link:
        schema.prepare(link, fresh=False)
        tx = Tx(link)
        assert link.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert shown(tx.journal.read(0, 10)) == [(3, b"1"), (5, b"2")]
        assert tx.journal.append_run("trade", 3.0, lines(1, 2), ["trade|b|1|0", "new"]) == [0]
        assert shown(tx.journal.read(5, 10)) == [(6, b"2")]
        assert tx.state.get("cursor/metrics") == b"5"
        new = sqlite3.connect(":memory:", isolation_level=None)
        schema.prepare(new, fresh=True)
        for table in ("journal", "keys"):
            columns = f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}') ORDER BY 1"
            assert link.execute(columns).fetchall() == new.execute(columns).fetchall()
        assert tx.journal.earlier(["trade|b|1|0"], 100) == b""
        assert tx.journal.earlier(["new"], 100) == b"2"
        names = "SELECT name FROM sqlite_schema ORDER BY name"
        assert link.execute(names).fetchall() == new.execute(names).fetchall()


def test_it_leaves_an_older_file_as_it_was_where_a_step_fails(tmp_path, monkeypatch):
    with old_file(tmp_path / "s.db") as link:
        monkeypatch.setitem(schema.STEPS, 1, schema.STEPS[1] + "INSERT INTO nowhere VALUES (1);")
        with pytest.raises(sqlite3.OperationalError):
            schema.prepare(link, fresh=False)
        assert link.execute("PRAGMA user_version").fetchone() == (1,)
        assert link.execute("SELECT key FROM journal").fetchall() == [("trade|b|1|0",), (None,)]


@pytest.mark.anyio
async def test_it_opens_an_older_file_without_setting_it_aside(tmp_path):
    old_file(tmp_path / "s.db").close()
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    report = await store.open()
    assert (report.fresh, report.set_aside, report.head) == (False, "", 5)
    await store.close()


def test_it_takes_no_file_of_another_program(tmp_path):
    with old_file(tmp_path / "s.db") as link:
        link.execute("PRAGMA application_id=7")
        with pytest.raises(StoreCorrupt, match="not a Sidewatch database"):
            schema.prepare(link, fresh=False)
