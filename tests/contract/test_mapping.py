"""Their columns into ours, by a mapping file."""

import re
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.contract import ContractError, load_mapping, parse_mapping
from tests.contract.factories import MACHINES, PARCELS, refusal

COLUMNS = {
    "parcel_id": "{from: ID}",
    "sent_at": "{from: SENT, timezone: UTC}",
    "weight_kg": "{from: WEIGHT}",
    "postage_minor": "{from: PAID, unit: major, currency_digits: 2}",
    "kind": "{value: small}",
}
RAW = {
    "ID": [1],
    "SENT": [datetime(2025, 3, 1, 12)],
    "WEIGHT": [1.5],
    "PAID": [4.99],
}


def mapping(top: str = "", **columns: str | None):
    lines = {name: text for name, text in (COLUMNS | columns).items() if text is not None}
    body = "\n".join(f"  {name}: {text}" for name, text in lines.items())
    return parse_mapping(f"contract: parcels\n{top}\ncolumns:\n{body}\n", [PARCELS], "p.yaml")


def mapped(column: str, text: str, **raw: object) -> list[object]:
    table = pa.table(RAW | raw)
    return mapping(**{column: text}).convert(table)[column].to_pylist()


def reasons(column: str, text: str, **raw: object) -> list[str]:
    table = pa.table({**RAW, **raw})
    return list(mapping(**{column: text}).check(table).reasons)


def test_a_mapping_fills_a_contract():
    checked = mapping().check(pa.table(RAW))
    assert checked.good.to_pylist()[0] == {
        "parcel_id": "1",
        "sent_at": datetime(2025, 3, 1, 12, tzinfo=UTC),
        "arrived_at": datetime(2025, 3, 1, 12, tzinfo=UTC),
        "weight_kg": 1.5,
        "postage_minor": 499,
        "kind": "small",
        "fragile": None,
        "latitude": None,
        "longitude": None,
    }


def test_a_bare_name_stands_for_from():
    assert mapped("parcel_id", "ID", ID=["x"]) == ["x"]


def test_it_reads_no_more_columns_than_it_needs():
    assert mapping().source_columns == ("ID", "SENT", "WEIGHT", "PAID")


def test_whole_floats_make_identifiers_and_others_do_not():
    assert mapped("parcel_id", "ID", ID=[17850.0]) == ["17850"]
    assert reasons("parcel_id", "ID", ID=[17850.5]) == ["parcel_id: not a whole number"]


def test_several_columns_join_into_an_identifier():
    text = "{from: [ID, PART], join: '/'}"
    assert mapped("parcel_id", text, PART=["a"]) == ["1/a"]


def test_a_value_map_names_flags():
    text = "{from: F, values: {0: false, 1: true}}"
    assert mapped("fragile", text, F=[1]) == [True]
    assert mapped("fragile", text, F=[0.0]) == [False]


def test_a_value_that_the_map_does_not_list_is_quarantined_unless_otherwise_says():
    assert reasons("kind", "{from: K, values: {S: small}}", K=["XL"]) == [
        "kind: a value the mapping does not list"
    ]
    text = "{from: K, values: {S: small}, otherwise: large}"
    assert mapped("kind", text, K=["XL"]) == ["large"]


def test_spellings_of_missing_become_null():
    assert mapped("latitude", "{from: LAT, missing: [999999, '']}", LAT=[999999.0]) == [None]


def test_a_column_may_have_a_value_only_under_a_condition():
    text = "{from: SENT, timezone: UTC, when: {STATUS: [arrived]}}"
    table = pa.table(
        {name: values * 2 for name, values in RAW.items()} | {"STATUS": ["arrived", "lost"]}
    )
    arrived = mapping(arrived_at=text).convert(table)["arrived_at"]
    assert arrived.null_count == 1
    assert arrived[0].is_valid


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("{N: [1, 3]}", [1, 3]),
        ("{N: {not_in: [1]}}", [2, 3, None]),
        ("{N: {present: true}}", [1, 2, 3]),
        ("{N: {present: false}}", [None]),
        ("{N: {above: 1, at_most: 2}}", [2]),
        ("{N: {at_least: 2, below: 3}}", [2]),
    ],
)
def test_where_leaves_rows_out(where, kept):
    table = pa.table({name: values * 4 for name, values in RAW.items()} | {"N": [1, 2, 3, None]})
    assert mapping(f"where: {where}").select(table)["N"].to_pylist() == kept


def test_bounds_of_where_are_read_as_numbers_are_written():
    amounts = pa.table(
        {name: values * 3 for name, values in RAW.items()} | {"N": ["1,5", "2", "9"]}
    )
    top = 'file: {decimal_mark: ","}\nwhere: {N: {above: 1.4, below: 2.5}}'
    assert mapping(top).select(amounts)["N"].to_pylist() == ["1,5", "2"]


def test_units_are_converted():
    machine = parse_mapping(
        """
        contract: telemetry
        columns:
          machine_id: M
          event_time: {from: T, unit: s}
          temperature_c: {from: TEMP, unit: degC, low: -40, high: 200}
        """,
        [MACHINES],
    )
    table = pa.table({"M": [1, 1], "T": [1_700_000_000, 1_700_000_001], "TEMP": [70.5, 900.0]})
    checked = machine.check(table)
    assert checked.good["temperature_c"].to_pylist() == [70.5]
    assert checked.reasons == {"temperature_c: above 200.0 degC": 1}


def test_a_weight_in_an_unknown_unit_is_refused():
    with pytest.raises(ContractError, match=r":6: columns\.weight_kg\.unit: unknown unit"):
        mapping(weight_kg="{from: WEIGHT, unit: stone}")


def test_extra_columns_need_a_contract_that_takes_them():
    with pytest.raises(ContractError, match="contract 'parcels' has no such column"):
        mapping(colour="{from: C}")


def test_minor_units_of_a_currency_are_its_own_by_iso_4217():
    top = "currencies: {settlement: USD, rates: {JPY: {per_million: 6700}}}"
    paid = mapping(top, postage_minor="{from: PAID, unit: minor, currency_from: CUR}")
    checked = paid.check(pa.table(RAW | {"PAID": [1500], "CUR": ["JPY"]}))
    assert checked.good["postage_minor"].to_pylist() == [1005]
    top = "currencies: {settlement: KWD, rates: {USD: {per_million: 307000}}}"
    paid = mapping(top, postage_minor="{from: PAID, unit: major, currency_from: CUR}")
    checked = paid.check(pa.table(RAW | {"PAID": ["1.234"], "CUR": ["KWD"]}))
    assert checked.good["postage_minor"].to_pylist() == [1234]
    assert paid.currency_digits == 3


def test_the_digits_of_a_currency_may_be_declared_and_must_be_where_iso_has_none():
    top = "currencies: {settlement: EUR, rates: {JPY: {digits: 2, per_million: 6135}}}"
    paid = mapping(top, postage_minor="{from: PAID, unit: minor, currency_from: CUR}")
    checked = paid.check(pa.table(RAW | {"PAID": [100_000], "CUR": ["JPY"]}))
    assert checked.good["postage_minor"].to_pylist() == [614]
    with pytest.raises(ContractError, match="'BTC' is no currency of ISO 4217; say its 'digits'"):
        mapping("currencies: {settlement: EUR, rates: {BTC: {per_million: 10}}}")


@pytest.mark.parametrize(
    ("amount", "digits"),
    [
        ("{from: PAID, unit: major, currency_digits: 0}", 0),
        ("{from: PAID, unit: minor, currency_digits: 3}", 3),
        ("{from: PAID, unit: minor}", None),
    ],
)
def test_a_mapping_says_the_digits_of_what_it_reads(amount, digits):
    assert mapping(postage_minor=amount).currency_digits == digits


def test_the_largest_amount_can_be_declared():
    text = "{from: PAID, unit: major, currency_digits: 2, largest: 50000000}"
    assert mapped("postage_minor", text, PAID=["40000000.00"]) == [4_000_000_000]
    assert reasons("postage_minor", text, PAID=["40000000.00"]) == []
    (reason,) = reasons("postage_minor", text, PAID=["50000000.01"])
    assert reason.startswith("postage_minor: above 5,000,000,000 minor units")


def test_the_quarantine_shows_the_source_as_it_came():
    table = pa.table(RAW | {"PAID": ["much"]})
    checked = mapping().check(table)
    assert checked.quarantined.select(list(RAW)).equals(table)
    assert checked.reasons == {"postage_minor: not an amount": 1}


def test_dates_are_times_of_midnight_in_their_zone():
    text = "{from: SENT, timezone: Europe/Berlin}"
    assert mapped("sent_at", text, SENT=[date(2025, 1, 1)]) == [
        datetime(2024, 12, 31, 23, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"top": "colums: 1"}, ":2: colums: unknown key; did you mean 'columns'?"),
        ({"weight_kg": None}, "nothing fills 'weight_kg' (double: weight)"),
        ({"wieght_kg": "WEIGHT"}, "did you mean 'weight_kg'?"),
        ({"kind": "{form: K}"}, "columns.kind.form: unknown key; did you mean 'from'?"),
        ({"kind": "{from: K, value: small}"}, "give either 'from'"),
        ({"kind": "{}"}, "give either 'from'"),
        ({"sent_at": "{from: S, timezone: Berlin}"}, "'Berlin' is no IANA time zone"),
        ({"sent_at": "{from: S, unit: sec}"}, "'sec' is not possible here"),
        ({"sent_at": "{from: S, plus: 7 days}"}, "'7 days' is not a duration; write it as 7d"),
        ({"postage_minor": "{from: P}"}, "needs 'unit: major' (12.34) or 'unit: minor'"),
        ({"postage_minor": "{from: P, unit: major}"}, "needs 'currency_digits'"),
        (
            {"postage_minor": "{from: P, unit: major, currency_digits: 9}"},
            "a whole number from 0 to 4, came 9",
        ),
        ({"postage_minor": "{from: P, unit: minor, largest: 5}"}, "say its 'currency_digits'"),
        ({"weight_kg": "{from: W, thousands: .}"}, "'.' is the decimal mark already"),
        ({"parcel_id": "{from: I, normalize: nfk}"}, "did you mean 'nfc'?"),
        ({"sent_at": "{from: S, unit: s, format: '%Y'}"}, "either 'unit' (numbers) or 'format'"),
        ({"fragile": "{from: F, unreadable: nul}"}, "'nul' is not possible here"),
        ({"weight_kg": "{from: W, unreadable: row}"}, "unknown key"),
        ({"weight_kg": "{from: [A, B]}"}, "only texts and times can be joined"),
        ({"weight_kg": "{value: heavy}"}, "cannot stand for double: weight_kg: not a number"),
        ({"kind": "{from: K, otherwise: small}"}, "add 'values'"),
        ({"kind": "[A, B]"}, "expected {from: ...} or {value: ...}"),
        ({"top": "where: {N: {above: many}}"}, "where.N.above: expected a number, came 'many'"),
        ({"top": "where: {N: {abov: 1}}"}, "did you mean 'above'?"),
        ({"top": "file: {format: json}"}, "'json' is not possible here"),
        ({"top": "file: {delimiter: '::'}"}, "expected one character"),
        ({"top": "where: {N: {above: .inf}}"}, "where.N.above: expected a number"),
        ({"top": "where: {N: []}"}, "where.N: expected one value or more, got an empty list"),
        ({"top": "file: {skip_lines: -1}"}, "a whole number from 0 to 10000"),
        ({"sent_at": "{from: S, timezone: Europe/Berln}"}, "did you mean 'Europe/Berlin'?"),
        ({"sent_at": "{from: S, format: '%Q'}"}, "'%Q' is no format of dates: 'Q' is a bad"),
        ({"sent_at": "{from: S, format: '%d.%m'}"}, "it reads no year"),
        ({"sent_at": "{from: S, format: '%Y %Y'}"}, "the same directive stands there twice"),
        ({"sent_at": "{from: ''}"}, "expected the name of a source column, got nothing"),
        ({"kind": "{value: huge}"}, "cannot stand for string: kind: "),
        ({"kind": "{from: K, values: {a: small, b: huge}}"}, "'huge' cannot stand for 'b': kind: "),
        ({"weight_kg": "{from: W, values: {a: heavy}}"}, "'heavy' cannot stand for 'a'"),
        ({"top": "contract: parcels"}, "stands here twice"),
        ({"top": "where: 3"}, "expected a section"),
    ],
)
def test_a_mistake_in_a_mapping_file_is_refused_with_its_place(changes, words):
    message = refusal(lambda: mapping(**changes))
    assert words in message
    assert re.match(r"p\.yaml:\d+: ", message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contract: parcel\ncolumns: {}", "did you mean 'parcels'?"),
        ("columns: {}", "needs the key 'contract'"),
        ("contract: parcels", "needs the section 'columns'"),
        ("- a", "expected 'key: value' lines"),
        ("a: [", ": not valid YAML"),
        ("contract: !!python/object:os.system parcels\ncolumns: {}", ": not valid YAML"),
        ("a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}", "nested too deep"),
        ("a: [[1]]", "expected plain values in this list"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(text, words):
    assert words in refusal(lambda: parse_mapping(text, [PARCELS]))


def test_a_column_that_the_data_lacks_stops_at_once():
    table = pa.table(RAW).rename_columns({"WEIGHT": "WIEGHT"})
    words = "no column 'WEIGHT', which weight_kg is read from; did you mean 'WIEGHT'?"
    assert words in refusal(lambda: mapping().check(table))


@pytest.mark.parametrize(
    "came",
    [
        ["0", "1", "no", "Y", "t", "FALSE", " true ", None],
        ["0.0", "1.0", "n", "yes", "T", "f", "True", None],
    ],
)
def test_flags_are_read_as_what_they_can_only_mean(came):
    raw = {name: values * 8 for name, values in RAW.items()}
    expected = [False, True, False, True, True, False, True, None]
    assert mapped("fragile", "F", **raw, F=came) == expected


def test_numbers_are_flags_where_they_are_0_or_1():
    raw = {name: values * 3 for name, values in RAW.items()}
    assert mapped("fragile", "F", **raw, F=[0, 1, 2]) == [False, True, None]
    assert mapped("fragile", "F", **raw, F=[0.0, 1.0, None]) == [False, True, None]


@pytest.mark.parametrize(
    ("came", "sign", "expected"),
    [
        ("12.5%", '["%"]', 12.5),
        ("0.5 %", '["%"]', 0.5),
        ("3 kg", "kg", 3.0),
        ("\u22123.5", "", None),
        ("\u00a03.5\u202f", "", 3.5),
    ],
)
def test_numbers_may_have_a_sign_beside_them(came, sign, expected):
    text = "{from: W" + (f", sign: {sign}" if sign else "") + "}"
    assert mapped("weight_kg", text, W=[came]) == [-3.5 if expected is None else expected]


def test_a_sign_that_is_not_declared_is_pointed_out():
    (reason,) = reasons("weight_kg", "W", W=["12.5%"])
    assert reason == "weight_kg: not a number; declare 'sign' or 'negative' for what is not a digit"


@pytest.mark.parametrize(("came", "flag"), [("ja", True), ("nein", False)])
def test_flags_of_other_languages_are_named_by_values(came, flag):
    assert mapped("fragile", "{from: F, values: {ja: true, nein: false}}", F=[came]) == [flag]


@pytest.mark.parametrize("came", ["1.0E+5", "1.23457E+15", "1.5e15", "1E+05", "-1.0E5"])
def test_ids_that_a_spreadsheet_rounded_are_quarantined(came):
    (reason,) = reasons("parcel_id", "ID", ID=[came])
    assert reason.startswith("parcel_id: a number in scientific notation")
    assert mapped("parcel_id", "{from: ID, normalize: as_written}", ID=[came]) == [came]


@pytest.mark.parametrize("came", ["1E5", "12.0E5", "E+05", "007", "1.0E+5a"])
def test_ids_with_an_e_stay_ids(came):
    assert mapped("parcel_id", "ID", ID=[came]) == [came]
    assert reasons("parcel_id", "ID", ID=[came]) == []


@pytest.mark.parametrize("word", ["NULL", "nan", "None", "\\N"])
def test_a_word_for_null_is_kept_as_an_id_and_counted(word):
    checked = mapping().check(pa.table(RAW | {"ID": [word]}))
    assert checked.good["parcel_id"].to_pylist() == [word]
    (note,) = checked.adjustments
    assert note.startswith(f"parcel_id: '{word}' is kept as an id; declare 'missing: ['{word}']'")
    declared = f"{{from: ID, missing: ['{word}']}}"
    assert reasons("parcel_id", declared, ID=[word]) == ["parcel_id: missing"]


@pytest.mark.parametrize("came", ["2", 2, "maybe", ""])
def test_what_is_no_flag_is_a_fault(came):
    assert reasons("fragile", "F", F=[came]) == [
        "fragile: neither true nor false; say under 'values' what is which"
    ]


CURRENCIES = """currencies:
  settlement: EUR
  rates: {USD: {per_million: 920000}, JPY: {digits: 0, per_million: 6135}}"""


def test_amounts_of_several_currencies_are_settled_into_one():
    paid = mapping(CURRENCIES, postage_minor="{from: PAID, unit: major, currency_from: CUR}")
    table = pa.table(
        {name: values * 5 for name, values in RAW.items()}
        | {
            "ID": [1, 2, 3, 4, 5],
            "PAID": ["10.00", "10.00", "1000", "1.00", "1000.5"],
            "CUR": ["EUR", "USD", "JPY", "XXX", "JPY"],
        }
    )
    checked = paid.check(table)
    assert checked.good["postage_minor"].to_pylist() == [1000, 920, 614]
    assert checked.reasons == {
        "currency: no rate for 'XXX'": 1,
        "postage_minor: not a whole number of minor units (0 digits)": 1,
    }


@pytest.mark.parametrize(
    ("top", "words"),
    [
        ("", "needs the section 'currencies'"),
        ("currencies: {settlement: EUR, rates: {USD: 0.9}}", "expected a section"),
        ("currencies: {settlement: EUR, rates: {USD: {digits: 2}}}", "needs the key 'per_million'"),
        ("currencies: {settlement: EUR, rates: {EUR: {per_million: 2}}}", "for 'EUR'"),
    ],
)
def test_a_wrong_table_of_currencies_is_refused(top, words):
    amount = "{from: PAID, unit: major, currency_from: CUR}"
    assert words in refusal(lambda: mapping(top, postage_minor=amount))


def test_an_amount_is_multiplied_by_a_quantity():
    text = "{from: PAID, unit: major, currency_digits: 2, times: PIECES}"
    assert mapped("postage_minor", text, PIECES=[3]) == [1497]
    assert reasons("postage_minor", text, PIECES=["many"]) == ["PIECES: not a whole number"]


def test_values_are_looked_up_in_another_table(tmp_path):
    pq.write_table(pa.table({"short": ["s", "x"], "long": ["small", None]}), tmp_path / "k.parquet")
    lookup = "lookup: {file: k.parquet, key: short, value: long}"
    text = f"contract: parcels\ncolumns:\n  kind: {{from: K, {lookup}}}\n"
    text += "".join(f"  {name}: {rule}\n" for name, rule in COLUMNS.items() if name != "kind")
    (tmp_path / "m.yaml").write_text(text)
    result = load_mapping(tmp_path / "m.yaml", [PARCELS]).check(pa.table({**RAW, "K": ["s"]}))
    assert result.good["kind"].to_pylist() == ["small"]
    lost = load_mapping(tmp_path / "m.yaml", [PARCELS]).check(pa.table({**RAW, "K": ["x"]}))
    assert list(lost.reasons) == ["kind: a value the mapping does not list"]
    (tmp_path / "m.yaml").write_text(text.replace("key: short", "key: shrt"))
    with pytest.raises(ContractError, match="no column 'shrt'; did you mean 'short'"):
        load_mapping(tmp_path / "m.yaml", [PARCELS])


def test_a_looked_up_key_with_two_values_is_refused(tmp_path):
    pq.write_table(
        pa.table({"short": ["s", "s"], "long": ["small", "large"]}), tmp_path / "k.parquet"
    )
    columns = COLUMNS | {"kind": "{from: K, lookup: {file: k.parquet, key: short, value: long}}"}
    body = "\n".join(f"  {name}: {rule}" for name, rule in columns.items())
    (tmp_path / "m.yaml").write_text(f"contract: parcels\ncolumns:\n{body}\n")
    with pytest.raises(ContractError, match="short 's' has two values of long"):
        load_mapping(tmp_path / "m.yaml", [PARCELS])


def test_of_several_looked_up_values_the_newest_counts(tmp_path):
    lookup_table = {"short": ["s", "s"], "long": ["small", "large"], "on": [2, 1]}
    pq.write_table(pa.table(lookup_table), tmp_path / "k.parquet")
    lookup = "lookup: {file: k.parquet, key: short, value: long, newest_by: on}"
    columns = COLUMNS | {"kind": f"{{from: K, {lookup}}}"}
    body = "\n".join(f"  {name}: {rule}" for name, rule in columns.items())
    (tmp_path / "m.yaml").write_text(f"contract: parcels\ncolumns:\n{body}\n")
    result = load_mapping(tmp_path / "m.yaml", [PARCELS]).check(pa.table({**RAW, "K": ["s"]}))
    assert result.good["kind"].to_pylist() == ["small"]
