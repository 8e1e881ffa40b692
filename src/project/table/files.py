"""CSV and Parquet files as Arrow tables; a cell of a CSV file stays the text that it is."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import dataset

from project.config import IN_MEMORY
from project.errors import nearest
from project.table.cells import is_number, is_text
from project.table.on_disk import gather

SAMPLE = 2**20
"""Bytes at the beginning of a file from which its delimiter, quotes and header are taken."""
BLOCK = 2**20
"""Bytes of a CSV file that are read together: Arrow has some dozens of blocks in memory."""
BATCHES = 3  # of Arrow's make a piece, for each takes some time besides that for its rows
DELIMITERS = (",;\t|", ":^~ ")
"""What may stand between two cells; the second lot counts where none of the first makes columns."""
OPEN_QUOTE = "a cell is too long: is a quotation mark left open?"
PARQUET = (".parquet", ".pq")
"""How the names of Parquet files end."""
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


Frame = Any
"""A table of pandas, polars or pyarrow."""


def is_parquet(path: Path) -> bool:
    """Whether a path is to be read as Parquet: a folder, or a file that is named or begins so."""
    if path.is_dir() or path.suffix.lower() in PARQUET:
        return True
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read_file(
    path: str | Path, delimiter: str | None = None, encoding: str = "utf-8", to_disk: bool = False
) -> pa.Table:
    """Reads a whole table.

    Args:
        path: A CSV file, which may be compressed (``.gz``), a Parquet file or a folder of Parquet files.
        delimiter: What stands between two cells of a CSV file; by default it is found out.
        encoding: How a CSV file without a byte order mark writes letters.
        to_disk: See `gather`.

    Raises:
        ValueError: If the file is no such table; the message says where it is not.
        OSError: If it cannot be read, or there is no room for it on the disk.
    """
    return gather(*stream_file(path, delimiter, encoding), to_disk)


def stream_file(
    path: str | Path, delimiter: str | None = None, encoding: str = "utf-8"
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Opens a table to be read piece by piece, in its order; arguments and errors as for `read_file`.

    Returns:
        The columns with their types, and the pieces.
    """
    path = _existing(path)
    if path.is_file() and not path.stat().st_size:
        raise ValueError(f"{path} is empty")
    with _explained(path, delimiter, encoding):
        schema, batches = _parquet(path) if is_parquet(path) else _csv(path, delimiter, encoding)
    _check_names(schema.names, path)

    def pieces() -> Iterator[pa.Table]:
        with _explained(path, delimiter, encoding):
            while some := list(islice(batches, BATCHES)):
                yield pa.Table.from_batches(some)

    return schema, pieces()


def as_table(rows: Any) -> pa.Table:
    """A table of pandas, polars or pyarrow, or a dictionary of columns, as one of pyarrow, in types as files have them.

    Raises:
        ValueError: If it is none of these, or its columns don't fit together.
    """
    try:
        if isinstance(rows, dict):
            rows = {str(name): pa.array(column, from_pandas=True) for name, column in rows.items()}
        table = pa.table(rows)
        if len(set(table.column_names)) < table.num_columns:
            raise ValueError(f"two columns have the same name: {table.column_names}")
        return table.cast(pa.schema([f.with_type(_plain(f.type)) for f in table.schema], table.schema.metadata))
    except (pa.ArrowException, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"rows must come as a table or a dictionary, in columns of one type each: {error}") from error


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type that Arrow can filter and look up: not a view of text, nor a dictionary of anything but text."""
    if pa.types.is_dictionary(kind):
        values = _plain(kind.value_type)
        return pa.dictionary(pa.int32(), values, kind.ordered) if is_text(values) else values  # which holds any number
    return pa.string() if pa.types.is_string_view(kind) else kind


def _retyped(schema: pa.Schema, kinds: Mapping[str, pa.DataType]) -> pa.Schema:
    """The same columns, some of them of another type."""
    return pa.schema([f.with_type(kinds.get(f.name, f.type)) for f in schema], schema.metadata)


def index_columns(schema: pa.Schema) -> list[str]:
    """The names of what is an index of pandas: numbers or names of rows, no columns."""
    return [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]


def category_columns(schema: pa.Schema) -> list[str]:
    """The names of columns that are categories of pandas, but numbers in Arrow."""
    columns = (schema.pandas_metadata or {}).get("columns", [])
    names = [column["name"] for column in columns if column.get("pandas_type") == "categorical"]
    return [f.name for f in schema if pa.types.is_dictionary(f.type) or (f.name in names and is_number(f.type))]


def append_rows(table: pa.Table, path: Path, other: pa.Table, optional: Collection[str]) -> pa.Table:
    """A table with the rows of another file below its own.

    Args:
        table: What comes first; it decides which columns there are.
        path: The other file.
        other: What is in it; the columns may stand in another order.
        optional: Columns that the other file need not have.

    Raises:
        ValueError: If a column is missing in the file or is of another type.
    """
    for name in table.column_names:
        if name not in other.column_names and name not in optional:
            raise ValueError(f"{path} has no column '{name}'; {nearest(name, other.column_names)}")
    other = other.select([name for name in table.column_names if name in other.column_names])
    # What is text in one file, as all is in CSV, is so in both. Numbers of two types may be names: else 0.1 in 32 bits
    # would become the name 0.10000000149011612, and a decimal 0.57 another one than a float.
    types = {f.name: (table.schema.field(f.name).type, f.type) for f in other.schema}
    texts = {n: pa.string() for n, (a, b) in types.items() if a != b and re.search("string|float|decimal", f"{a} {b}")}
    kinds = {n: types[n][0] if pa.types.is_dictionary(types[n][0]) else plain for n, plain in texts.items()}
    try:
        parts = [part.cast(_retyped(part.schema, kinds)) for part in (table, other)]
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"{path} is not like the other file, in whose types it must be: {error}") from error


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that is not taken, with as many underscores at its end as that needs."""
    while name in taken:
        name += "_"
    return name


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if path.exists():
        return path
    if path.name.startswith(IN_MEMORY.partition("{")[0]):
        raise ValueError(f"these rows came from memory: write them to {path}, as Parquet, for others to read them")
    names = [p.name for p in path.parent.glob("[!.]*")]
    hint = nearest(path.name, names) if 0 < len(names) <= 20 else f"you are in {Path.cwd()}"
    raise ValueError(f"there is no file {path}; {hint}")


def _check_names(names: list[str], path: Path) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            words = f"named '{name}': rename one" if name else "without a name: name them, or take out a title above"
            raise ValueError(f"{path} has two columns {words}")
        if "\n" in name or "\r" in name:
            raise ValueError(f"{path}: the column name {name!r} has a line break: rename it")


def _parquet(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    files, folder = [path], path if path.is_dir() else path.parent
    if path.is_dir():
        files = [f for f in sorted(path.rglob("*")) if f.suffix.lower() in PARQUET and f.name[0] not in "._"]
        if not files:
            raise ValueError(f"the folder {path} holds no .parquet file")
        if others := sorted(path.rglob("*.csv*")):
            raise ValueError(f"{others[0]} is not read among Parquet files: take it out of the folder")
    paths = [str(file.absolute()) for file in files]  # else s3:x.parquet would be a place on the net
    settings = {"format": "parquet", "partition_base_dir": str(folder.absolute())}
    data = dataset.dataset(paths, partitioning="hive", **settings)
    codes = {p.split("=")[0]: pa.string() for f in files for p in f.parts if re.fullmatch(r"[^=]+=[-+]?0\d+", p)}
    if codes:  # which Arrow would take for numbers, without their zeros
        keys = dataset.partitioning(_retyped(data.partitioning.schema, codes), flavor="hive")
        data = dataset.dataset(paths, partitioning=keys, **settings)
    schemas = [fragment.physical_schema for fragment in data.get_fragments()]
    index = {name for schema in schemas for name in index_columns(schema)}
    columns = [set(schema.names).difference(index_columns(schema)) for schema in schemas]
    for file, other in zip(files, columns, strict=True):
        if apart := columns[0] ^ other:
            raise ValueError(f"only one of {files[0]} and {file} has a column '{min(apart)}': give both the same ones")
    # Names may be encoded in one file, as pandas' categories are, and plain in another.
    kinds = {(f.name, f.type) for schema in schemas for f in schema if is_text(f.type)}
    texts = {n: pa.string() for n, count in Counter(name for name, _ in kinds).items() if count > 1}
    schemas = [_retyped(schema, texts) for schema in [data.schema, *schemas]]
    merged = pa.unify_schemas(schemas, promote_options="permissive")
    schema = pa.schema([f.with_type(_plain(f.type)) for f in merged if f.name not in index], data.schema.metadata)
    # By default Arrow reads a large part of the file ahead.
    scan = dataset.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
    ahead = {"batch_readahead": 0, "fragment_readahead": 0, "use_threads": False}
    data = dataset.dataset(paths, schema, partitioning=data.partitioning, **settings)
    return schema, data.to_batches(batch_size=2**13, fragment_scan_options=scan, **ahead)


def _csv(path: Path, delimiter: str | None, encoding: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    header, delimiter, quote, encoding = _dialect(path, delimiter, encoding)
    names = [name.strip() for name in header]
    parse = arrow_csv.ParseOptions(delimiter=delimiter, quote_char=quote, newlines_in_values=True)
    parse.ignore_empty_lines = len(header) > 1  # else it is an empty cell

    def batches() -> Iterator[pa.RecordBatch]:
        reader = arrow_csv.open_csv(
            pa.input_stream(str(path)),
            arrow_csv.ReadOptions(block_size=BLOCK, encoding=encoding),
            parse,
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
        yield from (batch.rename_columns(names) for batch in reader)

    return pa.schema([(name, pa.string()) for name in names]), batches()


def _dialect(path: Path, delimiter: str | None, encoding: str) -> tuple[list[str], str, str, str]:
    """The header, delimiter, quotation mark and encoding of a file, from its first lines."""
    with pa.input_stream(str(path)) as stream:
        sample = stream.read(SAMPLE)
    encoding = next((name for bom, name in BOMS.items() if sample.startswith(bom)), encoding)
    if b"\0" in sample and not encoding.startswith(("utf-16", "utf-32")):
        raise ValueError(f"{path} is no text and no Parquet: a table is a CSV or a Parquet file")
    text = codecs.getincrementaldecoder(encoding)().decode(sample)
    if len(text) == len(sample) and not sample.isascii() and _is_utf8(sample):  # a letter a byte, in places none
        raise ValueError(f"{path} is written in utf-8, not in {encoding}: name its encoding")
    text = text.removeprefix("\ufeff")
    lines = text.splitlines(keepends=True)
    text = "".join(lines[:-1] if len(sample) == SAMPLE and len(lines) > 1 else lines)
    if not text.strip():
        raise ValueError(f"{path} is empty")
    if "\r" in text and "\n" not in text:
        raise ValueError(f"{path} ends its lines with carriage returns alone, as old Macs did: save it with line feeds")
    quote = "'" if '"' not in text and text.startswith("'") else '"'
    if mark := re.match(r'(?i:"?sep=(.)"?[\r\n])', text):
        words = f"take the line out, and if it is needed name the delimiter, '{mark[1]}'"
        raise ValueError(f"{path}, line 1: '{mark[0].strip()}' is no header: {words}")
    if delimiter is None:
        _refuse_title(text, quote, path)
        delimiter = _find_delimiter(text, quote)
    elif len(delimiter := delimiter.replace("\\t", "\t")) != 1 or not delimiter.isascii():
        raise ValueError(f"a delimiter is one ASCII character, not {delimiter!r}")
    header = next(row for row in csv.reader(io.StringIO(text), delimiter=delimiter, quotechar=quote) if row)
    return header, delimiter, quote, encoding


def _is_utf8(sample: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        return bool(codecs.getincrementaldecoder("utf-8")().decode(sample))
    return False


def _refuse_title(text: str, quote: str, path: Path) -> None:
    """Stops at a first line that is one cell while most lines below are several."""
    title, _, below = text.lstrip("\r\n").partition("\n")
    if not below.strip() or any(mark in title for mark in (*DELIMITERS[0], quote)):
        return
    delimiter = _find_delimiter(below, quote)
    widths = _widths(list(islice(filter(str.strip, io.StringIO(below)), 100)), delimiter, quote)
    columns, count = Counter(widths).most_common(1)[0]
    if delimiter not in title and columns > 1 and 2 * count > len(widths):
        raise ValueError(f"{path}, line 1: '{title.strip()}' is no header of {columns} columns: take the line out")


def _widths(lines: list[str], delimiter: str, quote: str) -> list[int]:
    """The numbers of cells of lines, without empty ones."""
    return [len(row) for row in csv.reader(lines, delimiter=delimiter, quotechar=quote) if row]


def _find_delimiter(text: str, quote: str) -> str:
    """The delimiter that cuts most lines into as many cells as the header, more than one."""
    lines = list(islice(io.StringIO(text.lstrip("\r\n")), 100))

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = _widths(lines, delimiter, quote)
        except csv.Error:  # a line of many columns is too long for a single cell
            return 0.0, 0
        if widths[0] < 2:
            return 0.0, 0
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    best = [max(delimiters, key=score) for delimiters in DELIMITERS]
    return next((delimiter for delimiter in best if score(delimiter)[1]), ",")


@contextmanager
def _explained(path: Path, delimiter: str | None, encoding: str) -> Iterator[None]:
    """Says in one sentence what was wrong with a file."""
    try:
        yield
    except LookupError as error:
        raise ValueError(f"there is no encoding '{encoding}': {error}") from None
    except csv.Error:
        raise ValueError(f"{path} cannot be read: {OPEN_QUOTE}") from None
    except (UnicodeError, pa.ArrowException) as error:
        message = " ".join(str(error).split())
        if "Empty CSV" in message:  # a header alone, which is a table without rows
            return
        if isinstance(error, UnicodeError) or "invalid UTF8" in message:
            raise _wrong_encoding(path, encoding) from error
        if "columns, got" in message or "straddling" in message:
            raise _wrong_width(path, delimiter, encoding, message) from error
        if "magic bytes" in message or "Parquet" in message:
            message = "it is no Parquet file, or is damaged"
        raise ValueError(f"{path} cannot be read: {message[:300]}") from error
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror or ' '.join(str(error).split())[:300]}") from error


def _wrong_encoding(path: Path, encoding: str) -> ValueError:
    place = ""
    with pa.input_stream(str(path)) as stream, suppress(UnicodeError):  # UTF-16 wants a byte order mark
        lines = enumerate(io.TextIOWrapper(stream, encoding, errors="replace"), start=1)
        place = next((f", line {number}," for number, line in lines if "\ufffd" in line), "")
    return ValueError(f"{path}{place} is not written in {encoding}: name its encoding, such as cp1252")


def _wrong_width(path: Path, delimiter: str | None, encoding: str, message: str) -> ValueError:
    """Finds the first line with too many or too few cells; Arrow, which reads pieces in parallel, can't say."""
    _, delimiter, quote, encoding = _dialect(path, delimiter, encoding)
    with pa.input_stream(str(path)) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, encoding, newline=""), delimiter=delimiter, quotechar=quote)
        width, line = 0, 1
        try:
            for row in rows:
                width = width or len(row)
                if row and len(row) != width:
                    words = f"the delimiter is {delimiter!r}; a cell that holds it needs quotation marks"
                    return ValueError(f"{path}, line {line}: {len(row)} cells where the header has {width} ({words})")
                line = rows.line_num + 1
        except csv.Error:
            return ValueError(f"{path}, line {line}: {OPEN_QUOTE}")
    return ValueError(f"{path} cannot be read: {message[:300]}")
