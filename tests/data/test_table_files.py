"""Files of tables: what is written is read, and whatever else comes is one clear error."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.data import Table
from unbraid.data._tabular.columns import Columns, Wanted, check_memory
from unbraid.data._tabular.files import read_file

HEAD = "g,x,s\n"
ROWS = [f"{'ab'[index % 2]},{index * 0.5},{'uvw'[index % 3]}\n" for index in range(30)]
BODY = HEAD + "".join(ROWS)


def changed(row: int, text: str) -> str:
    return HEAD + "".join([*ROWS[:row], text + "\n", *ROWS[row + 1 :]])


WRONG: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "names in its first line, got '.*', which is empty"),
    "blank": ("\n\n", "names in its first line, got '.*', which is blank"),
    "header only": (HEAD, "rows below the names in the first line, got none"),
    "no such column": (BODY.replace("g,", "group,", 1), r"a column 'g' in '.*', got \['group', 'x', 's'\]"),
    "not UTF-8": (changed(3, "a,1,caf\u00e9").encode("latin-1"), "UTF-8, got byte 0xe9 in .*; save it as UTF-8"),
    "UTF-16": (BODY.encode("utf-16"), "UTF-8, got byte 0xff"),
    "zero bytes": (changed(3, "a,1,\0"), "text in .*, got a zero byte on line 5"),
    "spreadsheet": (b"PK\x03\x04" + b"x" * 50, "CSV or Parquet, got .* a spreadsheet or an archive; export it as CSV"),
    "compressed": (b"\x1f\x8b" + b"x" * 50, "which is compressed; unpack it"),
    "Parquet in name only": (b"PAR1" + b"x" * 50, "expected a Parquet file, got .*, which is damaged"),
    "duplicated column": (
        BODY.replace("x,s", "x,x", 1),
        r"a name of its own for every column of .*, got \['x'\] twice",
    ),
    "column without a name": (
        BODY.replace("x,s", "x,", 1),
        "a name for every column of .*, got none for column 3 of 3",
    ),
    "field too many": (changed(3, "a,1,u,2"), "3 fields on every line .* as in the first, got 4 on line 5; correct it"),
    "field too few": (changed(3, "a,1"), "3 fields on every line .*, got 2 on line 5"),
    "wrong separator": (BODY.replace(",", "!"), r"a column 'g' in .*, got \['g!x!s'\]"),
    "quote left open": (changed(3, 'a,1,"u'), "CSV, got .*, which cannot be read as such: unexpected end of data"),
    "quote within": (changed(3, 'a,1,"u"v'), "CSV, got .*, which cannot be read as such"),
    "endless field": (changed(3, "a,1," + "u" * 200_000), "cannot be read as such: field larger than field limit"),
    "decimal commas": (
        "g;x\n" + "a;1,5\nb;2,5\n" * 9,
        "1234.5 in column 'x', got '1,5' on line 2; .* pass decimal=','",
    ),
    "one decimal comma": (
        changed(3, 'a,"1,5",u'),
        "'1,5' on line 5 and '0.0' on line 2; write it with a decimal point",
    ),
    "thousands": (HEAD + 'a,"1,000",u\nb,"2,500",v\n' * 9, "numbers such as 1234.5 in .* '1,000' on line 2"),
    "per cent": (
        HEAD + "a,5%,u\nb,6%,v\na,5%,u\nb,6%,v\n",
        "numbers such as 1234.5 in column 'x', got '5%' on line 2; write",
    ),
    "detection limit": (changed(3, "a,<0.5,u"), "'<0.5' on line 5 and '0.0' on line 2; write plain numbers"),
    "word among numbers": (
        changed(3, "a,none,u"),
        "numbers only or words only in column 'x', got 'none' on line 5 and",
    ),
    "number among words": (
        changed(3, "a,1,7"),
        "words only in column 's', got 'u' on line 2 and '7' on line 5; correct it",
    ),
    "underscore": (changed(3, "a,1_000,u"), "'1_000' on line 5"),
    "infinity": (changed(3, "a,-inf,u"), r"finite numbers in column 'x', got infinity .* on line 5"),
    "too large": (changed(3, "a,1e999,u"), r"finite numbers in column 'x', got infinity .* on line 5"),
    "row without values": (
        changed(3, "a,NA,?"),
        "at least one value in every row, got none on line 5; remove these rows",
    ),
    "rows without values": (BODY + "a,,\n" * 7, "none on line 32, 33, 34, 35, 36 and 2 more"),
    "column without values": (
        HEAD + "a,,u\nb,,v\n" * 9,
        r"every column, got none in \['x'\]; leave them out \(leave_out=",
    ),
    "no columns": ("g\n" + "a\nb\n" * 9, "at least one column of measurements, got none"),
    "nothing varies": ("g,x\n" + "a,1\nb,1\n" * 9, r"a column that varies, got one value in all of \['x'\]"),
    "no population in a row": (changed(3, ",1,u"), "a value of column 'g' in every row, got none on line 5; remove"),
    "one population": (BODY.replace("b,", "a,"), r"two distinct populations of column 'g', got \['a'\]"),
    "everybody a population": (
        HEAD + "".join(f"{k},{k},u\n" for k in range(9)),
        "classes in column 'g', got 9 .* in 9 rows",
    ),
    "names of rows": (
        HEAD + "".join(f"{'ab'[k % 2]},{k},i{k}\n" for k in range(9)),
        r"'s', got 9 different words in 9 rows; .*leave_out=\['s'\]",
    ),
    "two features of one name": ("g,s,s=u\n" + "a,u,1\nb,v,2\n" * 9, r"own for every feature, got \['s=u'\] twice"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_odd_files_are_one_clear_error(content: str | bytes, message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message) as caught:
        Table(written(tmp_path, content), "g")
    assert str(caught.value).startswith("expected ")
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 400


def test_a_table_too_large_for_memory_is_refused_before_it_is_read():
    check_memory(1000, 10, "'x'", available=120_000)
    with pytest.raises(ValueError, match=r"fits into memory \(0.0 GB\), got 'x' with about 1,001 rows of 10 columns"):
        check_memory(1001, 10, "'x'", available=120_000)


def written(path: Path, text: str | bytes) -> Path:
    file = path / "table.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Nd", "Nl", "No"]), min_size=1, max_size=6
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of numbers or of words, with gaps."""
    rows = draw(st.integers(2, 12))
    columns = {}
    for name in draw(st.lists(words.filter(lambda name: name.strip() == name), min_size=2, max_size=5, unique=True)):
        kind = draw(st.sampled_from([numbers, words.filter(lambda word: not number_like(word))]))
        columns[name] = draw(st.lists(st.none() | kind, min_size=rows, max_size=rows))
    return columns


def number_like(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.strip().lower() in {"", "na", "n/a", "#n/a", "nan", "null", "?"}
    return True


def read_back(columns: Columns) -> dict[str, list[Any]]:
    found = {}
    for name, column in columns.named.items():
        if column.numbers is not None:
            found[name] = [None if math.isnan(value) else value for value in column.numbers.tolist()]
        else:
            assert column.codes is not None
            found[name] = [None if code < 0 else column.levels[code] for code in column.codes]
    return found


@given(
    columns=tables(), separator=st.sampled_from(",;\t|"), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)
def test_what_is_written_is_read(columns, separator, quoting, tmp_path_factory: pytest.TempPathFactory):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting)
    writer.writerow(columns)
    writer.writerows(["" if value is None else value for value in row] for row in zip(*columns.values(), strict=True))
    file = written(tmp_path_factory.getbasetemp(), text.getvalue())
    assert read_back(read_file(file, Wanted(), separator)) == columns


@settings(max_examples=200)
@given(content=st.binary(max_size=300) | st.text('ab,;\t"\n\r.0123456789NA', max_size=200).map(str.encode))
def test_any_bytes_are_a_table_or_one_error(content: bytes, tmp_path_factory: pytest.TempPathFactory):
    well_read(written(tmp_path_factory.getbasetemp(), content))


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_files_are_a_table_or_one_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    content = data.draw(st.sampled_from([BODY.encode(), parquet()]))
    cut = data.draw(st.integers(0, len(content)))
    damaged = bytearray(data.draw(st.sampled_from([content[:cut], content])))
    for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=4)) if damaged else []:
        damaged[place] = data.draw(st.integers(0, 255))
    well_read(written(tmp_path_factory.getbasetemp(), bytes(damaged)))


def parquet() -> bytes:
    return pd.read_csv(io.StringIO(BODY)).to_parquet()


def well_read(file: Path) -> None:
    try:
        data = Table(file, "g", seed=1)
    except ValueError as error:
        assert str(error).startswith("expected ")  # noqa: PT017 (either is right)
        return
    assert not np.isinf(data.x).any()
    assert data.x.shape == (len(data), *data.shape) == (len(data.rows), len(data.feature_names))
    assert data.population is not None
    assert set(data.population.tolist()) == set(range(len(data.populations)))
