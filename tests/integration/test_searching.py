"""The indexes of words find what is in the rows, whatever stands around a word."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import uuid
from collections.abc import Sequence

import pytest
from werkzeug.datastructures import MultiDict

from consumers.database import INSERT_SETTINGS
from dashboard.clickhouse import UNPROJECTED, ClickHouse
from dashboard.columns import API_REQUESTS
from dashboard.conditions import exact
from dashboard.filters import parse
from dashboard.times import UTC
from schemas.settings import Settings
from tests.conftest import Database

WORDS = (
    *("deadbeef", "DEAD", "beef_1234", "_cafe_", "pim00716", "x1234", "1234x", "face", "faceless", "ñ1234", "abcdñ"),
    *("0190a2b3-c4d5-7e6f-8091-a2b3c4d5e6f7", "00:1A:2B:3C", "1a2b3c4d5e6f", "+34965123456", "3.14159", "12", "fed"),
    *("wan 2", "lan-wan_2", "+34 965 123 456", "2026-11-20T10:00", "C. de la Ó 3", "Leó", "OLT", "a7 7a", "7 7 7"),
    *("añada", "Peñalver", "KIOSK", "a-b-c", "dead-beef", "12_34_56", "zz__1234__zz", "İ1234", "e-mail@example.org"),
)
REQUEST_IDS = ("0123456789abcdef", "0190a2b3-c4d5", "REQ-0123", "abcdefgh", "DEADBEEF", "dead beef", "")


@pytest.fixture
def asked(clickhouse: str, database: Database) -> ClickHouse:
    """The database, asked as the dashboard does."""
    return ClickHouse(Settings(clickhouse_url=clickhouse, clickhouse_database=database.name))


def test_every_part_of_a_text_is_found_by_the_indexes_as_it_is_in_the_rows(
    database: Database, asked: ClickHouse
) -> None:
    chance = random.Random(1)
    rows = [
        [
            *(uuid.uuid4(), dt.datetime(2026, 11, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number)),
            *("-".join(chance.choices(WORDS, k=2)), f"/{chance.choice(WORDS)}/", chance.choice(WORDS)),
            *(json.dumps({chance.choice(WORDS): chance.choices(WORDS, k=2)}, ensure_ascii=False),),
            *(chance.choice(REQUEST_IDS), number),
        ]
        for number in range(400)
    ]
    names = ["event_id", "requested_at", "user", "path", "errors", "data", "request_id", "kafka_offset"]
    database.client.insert("api_requests", rows, column_names=names)
    # Without parts of ids, which are searched without an index.
    texts = {str(value) for row in rows for value in row[2:-1]}
    parts = set()
    for text in sorted(texts):
        for _ in range(4):
            first = chance.randrange(max(len(text) - 3, 1))
            parts.add(text[first : first + chance.randint(3, 9)])
    parts = {
        *chance.sample(sorted(parts - {""}), 40),
        *WORDS,
        *REQUEST_IDS,
        *("965 123", " 965 123 4", "123 456", "2026-11-20", "de la Ó", "965-123", "wan", "an 2", "eó", "iös"),
        "nowhere",
        "0000beef",
        "dead beef ",
        "%",
        "a_b",
        "\\b",
    }
    for part in sorted(parts - {""}):
        counts = counted(asked, {"q": part})
        assert len(set(counts)) == 1, part
        expected = sum(part.lower() in "\0".join(searched(row, part)).lower() for row in rows if part.isascii())
        assert counts[0] >= expected, part

    filters = {(name, row[place]) for place, name in enumerate(names[2:7], 2) for row in rows[:60] if row[place]}
    for name, value in sorted(filters):
        for pattern in (exact(value), f"{exact(value[:-1])}*", f"*{exact(value[1:])}"):
            counts = counted(asked, {name: pattern})
            assert len(set(counts)) == 1, (name, pattern)
            assert counts[0] > 0


def searched(row: list[object], part: str) -> list[str]:
    """The texts of a row in which a part is looked for: a number not in a request's id of hexadecimal digits."""
    *texts, request_id = map(str, row[2:-1])
    number = not re.search("[a-z]", part, re.IGNORECASE) and re.fullmatch("[0-9a-f-]*", request_id)
    return texts if number else [*texts, request_id]


def test_an_id_is_found_by_any_part_of_it_that_is_no_number(database: Database, asked: ClickHouse) -> None:
    event_id, request_id = "0190a2b3-c4d5-7e6f-8091-a2b3c4d5e6f7", "0123456789abcdef0123456789abcdef"
    database.client.insert(
        "api_requests",
        [[uuid.UUID(event_id), request_id, dt.datetime(2026, 11, 1, tzinfo=dt.UTC)]],
        column_names=["event_id", "request_id", "requested_at"],
    )
    ids = (event_id, request_id)
    for text in (*ids, *map(str.upper, ids), event_id[:8], event_id[5:21], request_id[6:11], request_id[4:], "0a"):
        assert counted(asked, {"q": text}) == [1] * 3, text
    for text in (f"{event_id[:-1]}8", "4321", "a2b3c5", event_id[:4], "8091-", request_id[:9]):
        assert counted(asked, {"q": text}) == [0] * 3, text


def test_an_id_of_numbers_is_found_as_a_whole(database: Database, asked: ClickHouse) -> None:
    whole, of_a_crm = "00000000-0000-4000-8000-000000001505", "CRM-1505"
    database.client.insert(
        "api_requests",
        [
            [uuid.UUID(event_id), request_id, dt.datetime(2026, 11, 1, tzinfo=dt.UTC), number]
            for number, (event_id, request_id) in enumerate(
                [(whole, ""), (str(uuid.uuid4()), whole), (whole, of_a_crm)]
            )
        ],
        column_names=["event_id", "request_id", "requested_at", "kafka_offset"],
    )
    assert counted(asked, {"q": whole}) == [3] * 3
    assert counted(asked, {"q": "1505"}) == [1] * 3
    assert counted(asked, {"request_id": whole}) == [1] * 3


def test_an_address_is_found_by_any_part_of_it(database: Database, asked: ClickHouse) -> None:
    addresses = ("2001:db8::8960", "::ffff:10.1.2.36", "::ffff:8.9.6.0", "::", "::1.2.3.4")
    for number, address in enumerate(addresses):
        database.client.insert(
            "api_requests",
            [[address, dt.datetime(2026, 11, 1, tzinfo=dt.UTC), number]],
            column_names=["remote_addr", "requested_at", "kafka_offset"],
        )
    found = {
        "8960": 1,
        "2001": 1,
        "DB8": 1,
        "db8::89": 1,
        "ffff": 0,
        "10.1.2.36": 1,
        ".2.3": 2,
        "9.6": 1,
        "1.2": 2,
        "::": 2,
    }
    for text, rows in found.items():
        assert counted(asked, {"q": text}) == [rows] * 3, text


#: Texts that have addresses, and what looks like one, next to each other.
ADDRESSES = (
    *("10.1.17.2", "110.1.17.25", "10.1.17.2:8080", "10.1.17.2-10.1.17.9", "x10.1.17.2y", "10.1.17", "10.1.17.2.b"),
    *("A4:BA:76:01:02:03", "a4-ba-76-01-02-03", "17.2:a4:ba:76:01:02:03", "10.1.17.2:a4:ba:76:01:02:03"),
    *("a4:ba:76:01:02:10.1.17.2", "ma4:ba:76:01:02:03g", "a4ba.7601.0203", "a4:ba:76:01:02:03:04:05", "a4:ba:76:01:02"),
    *("1.3.6.1.4.1.2011.10.1.17.2", "abc1.2.3.4abc:a4:ba:76:01:02:03", "2001:db8:0:1:2:3:4:5", "2001:db8::10.1.17.2"),
    *("0190a2b3-c4d5-7e6f-8091-a2b3c4d5e6f7", "uuid:0190a2b3-c4d5-7e6f-8091-a2b3c4d5e6f7", "10..1.17.2", "10.1:17.2-1"),
    *("2026-11-29T09:10:22:33", "10:22:33", "22:33:ba", "a4:ba:76", "g4:ba:76g", "03:a4:1", "d10:22:33Z", "-10.1.17-"),
)
PARTS_OF_ADDRESSES = (
    *("10.1.17.", ".1.17.2", "1.17.2", "0.1.1", "1.17.2:", ".01.02.03", "a4:ba:76:01", ":76:01:02:03:", "6:01:02:03"),
    *("A4:BA:76", "4:ba:7", "ba:76:01:", ":76:01:0", "2:a4", "2:a4:b", "17.2:a4:ba", "02:03:a4", "09:10:22:3"),
    "22:33:b",
)


def test_addresses_are_found_whatever_they_stand_in(database: Database, asked: ClickHouse) -> None:
    chance = random.Random(2)
    rows = []
    for _ in range(300):
        first, second, agent, host = chance.choices(ADDRESSES, k=4)
        data, caller = first + chance.choice(":.- ,") + second, chance.choice(["::", "::ffff:10.1.17.2"])
        rows.append([data, agent, host.upper(), caller])
    database.client.insert("api_requests", rows, column_names=["data", "user_agent", "host", "remote_addr"])
    texts = sorted({value.lower() for row in rows for value in row[:3]})
    parts = {*ADDRESSES, *map(str.upper, ADDRESSES), *PARTS_OF_ADDRESSES, ".10.1.17.2:", "10.1.17.3", "ip 10.1.17.2"}
    parts |= {"4abc:a4:ba:76:01:02", "2:a4:ba:76:01:02", "7.2-10.1.17.9"}
    for text in chance.sample(texts, 40):
        first = chance.randrange(max(len(text) - 8, 1))
        parts.add(text[first : first + chance.randint(5, 25)])
    for part in sorted(parts):
        expected = sum(
            any(part.lower() in value.lower() for value in texts) or (part in "10.1.17.2" and caller != "::")
            for *texts, caller in rows
        )
        assert counted(asked, {"q": part}) == [expected] * 3, part


#: Words with letters outside ASCII: such as have a capital in the index, and others beside them.
ACCENTED = (
    *("Pérez", "PÉREZ", "Ibáñez", "muñoz", "Muñoz-Pérez", "L'Alfàs", "façade", "Ångström", "straße", "Zoë1234"),
    *("1234ë", "pe\u0301rez", "Łódź", "ódź", "ÿpres", "ſánchez", "İván", "Sánchez", "日本é語abc", "é_é_éa", "ANADIR"),
    *("àáâãäçèéêëìíîïñòóôõöùúûüý", "ÀÁÂÃÄÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝ", "añadir", "ñandú", "NANDU"),
)


def test_accented_words_are_found_in_either_case(database: Database, asked: ClickHouse) -> None:
    chance = random.Random(3)
    rows = []
    for _ in range(200):
        first, second, user = chance.choices(ACCENTED, k=3)
        rows.append([json.dumps({"name": f"x{first} {second}"}, ensure_ascii=False), user])
    database.client.insert("api_requests", rows, column_names=["data", "user"])
    parts = {*ACCENTED, *map(str.upper, ACCENTED), *map(str.lower, ACCENTED), "Perez", "Pérez muñoz", "érezx"}
    for word in ACCENTED:
        first = chance.randrange(max(len(word) - 4, 1))
        parts.add(word[first : first + chance.randint(4, 6)])
    for part in sorted(parts):
        found = counted(asked, {"q": part})
        assert len(set(found)) == 1, part
        if set(part.lower()) <= set("abcdefghijklmnopqrstuvwxyzáéíóúñç"):
            assert found[0] == sum(part.lower() in "\0".join(row).lower() for row in rows), part


#: Values of fields; most of them can stand in JSON in several ways.
VALUES = (
    *("+34961234567", "+34 961 234 567", "C/ Ancha 45", "D'Angelo33", "https://krill.example/x?z=pim00716", "pim00716"),
    *("María Peñalver", "Zoë_Müller99", "añada", "ñ123456", "123456ñ", "İstanbul77", "日本é語", "ſánchez", "🎉fiesta"),
    *(
        "a\nnewline66",
        "tab\tbehind77",
        "bell\x07behind",
        'say "hithere99"',
        "back\\slash88",
        "a<b>tag555</b>",
        "50€ menos",
    ),
    *(
        "7:8",
        "7 : 8",
        "deadbeef",
        "dead_beef12",
        "00:1A:2B:3C:4D:5E",
        "10.1.17.2",
        "",
        "12.50",
        "true",
        "PIM00716",
        "xpim00716x",
    ),
)


def spellings(text: str) -> set[str]:
    """JSON strings of a text: with few escapes, with many, and with those that need not be, in capitals."""
    all_escaped = "".join(
        f"\\u{ord(char):04X}" if char < "\uffff" and not re.match("[A-Za-z0-9 _.:,@-]", char) else char for char in text
    )
    return {
        json.dumps(text),
        json.dumps(text, ensure_ascii=False),
        json.dumps(text).replace("/", r"\/"),
        f'"{all_escaped}"',
    }


#: JSON without blanks, with one where Python has them, on several lines, and with blanks wherever they may be.
LAYOUTS = (
    '{"ke/y":[1,{%s:%s}]}',
    '{"ke/y": [1, {%s: %s}]}',
    '{\n\t"ke/y": [\n\t\t1,\n\t\t{\n\t\t\t%s: %s\n\t\t}\n\t]\n}',
    ' { "ke/y"  :\r\n [ 1 , { %s\t:  %s\t} ] } ',
)


def test_fields_are_found_by_the_indexes_however_they_are_written(database: Database, asked: ClickHouse) -> None:
    rows = [
        [layout % (name, text), value]
        for value in VALUES
        for text in spellings(value)
        for name in spellings("ñame")
        for layout in LAYOUTS
    ]
    assert all(json.loads(text) == {"ke/y": [1, {"ñame": value}]} for text, value in rows)
    insert(database, [[text] * 3 for text, _ in rows])
    for value in VALUES:
        for pieces in ([value], [value[:-1], ""], ["", value[1:]], ["", value[1:-1], ""], [value[:3], value[5:]]):
            pattern = "*".join(map(exact, pieces))
            expected = sum(bool(re.fullmatch(".*".join(map(re.escape, pieces)), other, re.DOTALL)) for _, other in rows)
            assert expected > 0
            assert counted(asked, {"field.ñame": pattern}) == [expected] * 3, pattern
    assert counted(asked, {"field.ke/y": "*"}) == [len(rows)] * 3
    assert counted(asked, {"field.ñame": "María Peñalva"}) == [0] * 3
    assert counted(asked, {"-field.ñame": "pim00716"}) == [sum(value != "pim00716" for _, value in rows)] * 3


@pytest.mark.parametrize("value", ["pim00716", "Agüero", "7", "true", "x", "C/ Ancha 45", "123456", "10:20:30"])
def test_a_field_is_neither_its_text_in_a_value_nor_a_part_of_it(
    database: Database, asked: ClickHouse, value: str
) -> None:
    field = json.dumps({"name": value}, separators=(",", ":"))
    found = [
        # In any payload, beside others, in lists; as a value, and without its quotes.
        *([field, "", ""], ["", field, ""], ["", "", field], [field, field, field]),
        *(["", f'{{"a":",","name":"{value}","b":"x"}}', ""], ["", f'[[{{"a":{{}}}},{field}],":1,"]', ""]),
        *([["", f'{{"name":{value}}}', ""]] if value in ("7", "true") else []),
        # Cut where they are too long.
        ["", f'[{field},{{"name":"{value}', ""],
    ]
    others = [
        *(["", json.dumps(field), ""], ["", json.dumps({"note": f"a,{field},b"}), ""], ["", f'"name:{value}"', ""]),
        *(["", f'{{"name":"{value} "}}', ""], ["", f'{{"name":" {value}"}}', ""], ["", f'{{"nam":"e:{value}"}}', ""]),
        *(["", f'{{"name":["{value}"]}}', ""], ["", f'{{"name":"{value},x"}}', ""], ["", f'{{"name":"#{value}"}}', ""]),
        *(["", f'{{"Name":"{value}"}}', ""], ["", f'{{"name":"{value.upper()}X"}}', ""], ["", '{"name":"#"}', ""]),
        *(["", f'{{"name":"{value}', ""], ["", '{"name":', f'"{value}"'], ["", "", ""]),
    ]
    insert(database, [*found, *others])
    assert counted(asked, {"field.name": value}) == [len(found)] * 3
    assert counted(asked, {"-field.name": value}) == [len(others)] * 3
    assert counted(asked, {"field.name": "#"}) == [1] * 3


def test_no_value_is_an_empty_text_or_null(database: Database, asked: ClickHouse) -> None:
    values = ('""', "null", '"null"', "{}", "[]", '[""]', '" "', '{"a":""}')
    insert(database, [["", f'{{"name":{value},"a":1}}', ""] for value in values])
    assert counted(asked, {"field.name": ""}) == [2] * 3
    assert counted(asked, {"field.name": "null"}) == [2] * 3


def insert(database: Database, payloads: Sequence[list[str]]) -> None:
    """Rows with these query parameters, data and responses; half of them as yet without indexes."""
    for some, settings in ((payloads[::2], {}), (payloads[1::2], INSERT_SETTINGS)):
        database.client.insert("api_requests", some, ["query_params", "data", "response"], settings=settings)


def counted(asked: ClickHouse, args: dict[str, str]) -> list[int]:
    """How many rows are found with the indexes, with what asks them where there are none, and with the values alone."""
    query, counts = parse(MultiDict(args), API_REQUESTS, UTC), []
    for indexed, used in ((True, 1), (True, 0), (False, 1)):
        condition, parameters = query.where(indexed=indexed)
        sql = f"SELECT count() FROM api_requests WHERE {condition}"
        [[count]] = asked.query(sql, parameters, use_skip_indexes=used, **UNPROJECTED)
        counts.append(count)
    return counts
