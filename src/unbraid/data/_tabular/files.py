"""Files and data frames as columns: CSV with any separator, Parquet, pandas."""

import csv
from collections.abc import Iterator
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from unbraid.data._tabular.column_text import Builder, plain
from unbraid.data._tabular.columns import Column, Columns, Wanted, check_finite, check_memory

if TYPE_CHECKING:
    import pandas

CHUNK = 4096  # rows that are text at one time
SEPARATORS = (",", ";", "\t", "|")
OTHERS = {b"PK": "a spreadsheet or an archive; export it as CSV", b"\x1f\x8b": "compressed; unpack it"}


def read_file(path: Path, wanted: Wanted, separator: str | None = None) -> Columns:
    """The columns of a CSV or Parquet file, told apart by content.

    Raises:
        ValueError: it is not there, is neither of the two, or is damaged.
    """
    if not path.is_file():
        raise ValueError(f"expected a table (CSV, TSV or Parquet), got '{path}', which does not exist or is no file")
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise ValueError(f"expected a table with names in its first line, got '{path}', which is empty")
    if start == b"PAR1":
        return _read_parquet(path, wanted)
    for magic, found in OTHERS.items():
        if start.startswith(magic):
            raise ValueError(f"expected CSV or Parquet, got '{path}', which is {found}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read_csv(file, path, wanted, separator or _separator(file))
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"expected text in UTF-8, got byte 0x{byte:02x} in '{path}'; save it as UTF-8 (spreadsheets: 'CSV UTF-8')"
        ) from error
    except csv.Error as error:
        raise ValueError(f"expected CSV, got '{path}', which cannot be read as such: {error}") from error


def read_frame(frame: "pandas.DataFrame", wanted: Wanted, what: str = "the data frame") -> Columns:
    """The columns of a pandas data frame.

    Raises:
        ValueError: it has no rows, or a column of anything but numbers, booleans and words.
    """
    if not all(hasattr(frame, name) for name in ("columns", "index", "iloc")):
        raise ValueError(f"expected the path of a table or a pandas data frame, got {type(frame).__name__}")
    names = [str(name).strip() for name in frame.columns]
    read = wanted.check(names, what)
    if not len(frame):
        raise ValueError(f"expected at least one row in {what}, got none")
    places = frame.index.to_numpy()
    columns = {
        name: _frame_column(frame.iloc[:, index], name, wanted, places.tolist())
        for index, (name, is_read) in enumerate(zip(names, read, strict=True))
        if is_read
    }
    return Columns(columns, places, "row")


def _separator(file: TextIO) -> str:
    """The most frequent candidate in the first line, outside quotes."""
    line = next((line for line in file if line.strip()), "")
    file.seek(0)
    unquoted = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=unquoted.count)


def _read_csv(file: TextIO, path: Path, wanted: Wanted, separator: str) -> Columns:
    if len(separator) != 1:
        raise ValueError(f"expected one character as separator, got {separator!r}")
    records = _records(file, path, separator)
    _, header = next(records, (0, []))
    if not header:
        raise ValueError(f"expected a table with names in its first line, got '{path}', which is blank")
    names = [name.strip() for name in header]
    read = np.flatnonzero(wanted.check(names, f"'{path}'"))
    builders = [Builder(names[index], wanted, "line") for index in read]
    lines: list[int] = []
    while chunk := list(islice(records, CHUNK)):
        if not lines:
            length = sum(len(text) + 1 for _, record in chunk for text in record) / len(chunk)
            check_memory(int(path.stat().st_size / length), len(read), f"'{path}'")
        places = [line for line, _ in chunk]
        values = list(zip(*(record for _, record in chunk), strict=True))
        for builder, index in zip(builders, read, strict=True):
            builder.add(values[index], places)
        lines += places
    if not lines:
        raise ValueError(f"expected rows below the names in the first line, got none in '{path}'")
    return Columns({builder.name: builder.finish() for builder in builders}, np.array(lines), "line")


def _records(file: TextIO, path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the lines that they end on, all as long as the first; empty lines are passed over."""
    reader = csv.reader(_without_zeros(file, path), delimiter=separator, strict=True)
    width = 0
    for record in reader:
        if not record or (len(record) == 1 and not record[0].strip() and width != 1):
            continue
        width = width or len(record)
        if len(record) != width:
            raise ValueError(
                f"expected {width} fields on every line of '{path}', as in the first, got {len(record)} on line "
                f"{reader.line_num}; correct it, or say what separates fields (separator, now {separator!r})"
            )
        yield reader.line_num, record


def _without_zeros(file: TextIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if "\0" in line:
            raise ValueError(f"expected text in '{path}', got a zero byte on line {number}; is it a table?")
        yield line


def _read_parquet(path: Path, wanted: Wanted) -> Columns:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ValueError(f"expected pyarrow to read '{path}'; `pip install 'unbraid[parquet]'`") from error
    try:
        file = ParquetFile(path, page_checksum_verification=True)
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise _damaged(path, error) from error
    check_memory(rows, columns, f"'{path}'")
    try:
        frame = file.read().replace_schema_metadata(None).to_pandas()
    except (pyarrow.ArrowException, ValueError, OSError, OverflowError) as error:
        raise _damaged(path, error) from error
    # row labels that pandas wrote along are no measurements
    measured = [not name.startswith("__index_level_") for name in frame.columns]
    return read_frame(frame.loc[:, measured], wanted, f"'{path}'")


def _damaged(path: Path, error: Exception) -> ValueError:
    why = str(error).partition("\n")[0][:200]
    return ValueError(f"expected a Parquet file, got '{path}', which is damaged: {why}")


def _frame_column(series: "pandas.Series[Any]", name: str, wanted: Wanted, places: list[object]) -> Column:
    from pandas import CategoricalDtype
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype, is_object_dtype, is_string_dtype

    kind, missing = series.dtype, series.isna().to_numpy()
    if isinstance(kind, CategoricalDtype):
        texts = [plain(str(category)) for category in series.cat.categories]
        levels = sorted({*texts} - {""})
        place = {level: index for index, level in enumerate(levels)}
        codes = np.array([*(place.get(text, -1) for text in texts), -1], np.int32)[series.cat.codes.to_numpy()]
        return Column(None, codes, tuple(levels))
    if is_numeric_dtype(kind) and not is_bool_dtype(kind) and not is_complex_dtype(kind):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        check_finite(numbers, name, places, "row")
        if name not in wanted.words:
            return Column(numbers)
        texts = ["" if gone else _digits(number) for number, gone in zip(series.tolist(), missing, strict=True)]
    elif is_bool_dtype(kind) or is_object_dtype(kind) or is_string_dtype(kind):
        pairs = zip(series.tolist(), missing, strict=True)
        texts = ["" if gone else _text(value, name) for value, gone in pairs]
    else:
        raise ValueError(
            f"expected numbers, booleans or words in column '{name}', got {kind}; turn it into numbers, or leave it out"
        )
    builder = Builder(name, wanted, "row")
    for start in range(0, len(texts), CHUNK):
        builder.add(texts[start : start + CHUNK], places[start : start + CHUNK])
    return builder.finish()


def _digits(number: float) -> str:
    """Whole numbers without a point: a column of them turns to floats as soon as one is missing."""
    return str(int(number)) if float(number).is_integer() else str(number)


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | Real) or type(value).__name__ == "Decimal":
        return str(value)
    raise ValueError(
        f"expected numbers, booleans or words in column '{name}', got a {type(value).__name__}; leave it out"
    )
