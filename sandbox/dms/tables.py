"""From the bytes of a CSV file to DynamoDB items: external table definitions, table mappings, rows.

Nothing here does I/O. What is documented, and where:

- external table definition, files and types of an S3 source:
  https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.S3.html
- selection rules and their wildcards:
  https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Tasks.CustomizingTasks.TableMapping.SelectionTransformation.html
- object mapping and types of a DynamoDB target:
  https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.DynamoDB.html

What AWS has and the sandbox has not is refused where the document comes in: transformation rules, source filters,
condition expressions, Parquet, BYTE and BLOB columns (for which a DynamoDB target has no type either).
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation


class InvalidDefinition(ValueError):
    """An external table definition that cannot be used; says why."""


class InvalidMappings(ValueError):
    """Table mappings that cannot be used; says why."""


class BadRow(ValueError):
    """A row that its table's definition, or DynamoDB, does not take. The message says where (line, column) and why."""


# -- external table definition -----------------------------------------------------------------------------------------

_INTEGERS = {f"{sign}INT{size}": (sign, size) for sign in ("", "U") for size in (1, 2, 4, 8)}
_NUMBERS = {*_INTEGERS, "NUMERIC", "REAL4", "REAL8"}
_TEXTS = {"STRING", "CLOB", "DATE", "TIME", "DATETIME", "TIMESTAMP"}  # DynamoDB has no dates: they become strings
_TYPES = {*_NUMBERS, *_TEXTS, "BOOLEAN"}
_DIGITS = 38  # of a DynamoDB number
_EXACT = Context(prec=1000)  # so that no digit is rounded away before it was counted


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    nullable: bool
    is_key: bool
    length: int = 0
    precision: int = 0
    scale: int = 0

    @property
    def key_type(self):
        """The type of a DynamoDB key made of this column."""
        return "N" if self.type in _NUMBERS else "S"

    def attribute(self, text):
        """The DynamoDB attribute value of a field, such as {"N": "7"}; None for NULL. Raises ValueError."""
        if text is None:
            if not self.nullable:
                raise ValueError("is empty, and the column is not nullable")
            return None
        if self.type in _TEXTS:
            # A longer string is cut: DataTruncationErrorPolicy, which is LOG_ERROR unless said otherwise.
            return {"S": text[: self.length] if self.type == "STRING" else text}
        if self.type == "BOOLEAN":
            if text.lower() not in _BOOLEANS:
                raise ValueError(f"{text!r} is not a {self.type}")
            return {"BOOL": _BOOLEANS[text.lower()]}
        return {"N": self._number(text.strip())}

    def _number(self, text):
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite() or (self.type in _INTEGERS and number != number.to_integral()):
            raise ValueError(f"{text!r} is not a {self.type}")
        if self.type in _INTEGERS:
            sign, size = _INTEGERS[self.type]
            low, high = (0, 2 ** (8 * size)) if sign else (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1))
            if not low <= number < high:
                raise ValueError(f"{text} is out of range for {self.type}")
            return str(int(number))
        number = _EXACT.normalize(number)
        exponent = number.as_tuple().exponent
        if self.type == "NUMERIC" and (-exponent > self.scale or number.adjusted() >= self.precision - self.scale):
            raise ValueError(f"{text} does not fit NUMERIC({self.precision}, {self.scale})")
        if len(number.as_tuple().digits) > _DIGITS:
            raise ValueError(f"{text} has more than {_DIGITS} digits, which a DynamoDB number cannot hold")
        return format(number, "f") if 0 <= exponent <= _DIGITS else str(number)


_BOOLEANS = {"true": True, "t": True, "y": True, "1": True, "false": False, "f": False, "n": False, "0": False}


@dataclass(frozen=True)
class SourceTable:
    schema: str
    name: str
    path: str
    columns: tuple

    def __str__(self):
        return f"'{self.schema}'.'{self.name}'"


def read_definition(text):
    """The tables of an external table definition (JSON text), as a list of SourceTable. Raises InvalidDefinition."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidDefinition(f"it is not JSON ({error})") from None
    tables = document.get("Tables") if isinstance(document, dict) else None
    if not isinstance(tables, list) or not tables:
        raise InvalidDefinition("it has no list of Tables")
    if _whole(document, "TableCount", "the definition") != len(tables):
        raise InvalidDefinition(f"TableCount is {document['TableCount']}, but there are {len(tables)} Tables")
    read = [_table(table, f"Tables[{index}]") for index, table in enumerate(tables)]
    if len({(table.schema, table.name) for table in read}) < len(read):
        raise InvalidDefinition("two Tables have the same TableOwner and TableName")
    return read


def _table(table, where):
    columns = table.get("TableColumns") if isinstance(table, dict) else None
    if not isinstance(columns, list) or not columns:
        raise InvalidDefinition(f"{where} has no list of TableColumns")
    name, path, owner = (_text(table, key, where) for key in ("TableName", "TablePath", "TableOwner"))
    where = f"table '{name}'"
    if _whole(table, "TableColumnsTotal", where) != len(columns):
        raise InvalidDefinition(f"{where}: TableColumnsTotal is {table['TableColumnsTotal']}, not {len(columns)}")
    read = tuple(_column(column, f"{where}, TableColumns[{index}]") for index, column in enumerate(columns))
    if len({column.name for column in read}) < len(read):
        raise InvalidDefinition(f"{where} has two columns of the same name")
    return SourceTable(owner, name, path.strip("/"), read)


def _column(column, where):
    if not isinstance(column, dict):
        raise InvalidDefinition(f"{where} must be an object")
    name, type_ = _text(column, "ColumnName", where), _text(column, "ColumnType", where).upper()
    where = f"{where} ({name})"
    if type_ not in _TYPES:
        raise InvalidDefinition(f"{where}: ColumnType {type_} is not one of {', '.join(sorted(_TYPES))}")
    sizes = {}
    if type_ == "STRING":
        sizes["length"] = _whole(column, "ColumnLength", where)
    if type_ == "NUMERIC":
        sizes["precision"] = _whole(column, "ColumnPrecision", where)
        sizes["scale"] = _whole(column, "ColumnScale", where)
    is_key = _flag(column, "ColumnIsPk", False, where)
    return Column(name, type_, _flag(column, "ColumnNullable", not is_key, where), is_key, **sizes)


def _text(document, key, where):
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidDefinition(f"{where} has no {key}")
    return value


def _whole(document, key, where):
    """A number that may be written as text, as in the documentation: "TableCount": "1"."""
    if not re.fullmatch(r"\d{1,9}", str(document.get(key))):
        raise InvalidDefinition(f"{where}: {key} must be a whole number")
    return int(document[key])


def _flag(document, key, default, where):
    value = document.get(key, default)
    if str(value).lower() not in ("true", "false"):
        raise InvalidDefinition(f"{where}: {key} must be true or false")
    return str(value).lower() == "true"


# -- rows --------------------------------------------------------------------------------------------------------------


def read_rows(content, table, settings):
    """Go through a CSV file's rows: (line, part of the file read so far from 0 to 1, {column name: text or None}).

    settings: the source endpoint's S3Settings (CsvDelimiter, IgnoreHeaderRows, Rfc4180, CsvNullValue). An empty field
    is NULL. Raises BadRow at the first row that is not as the table's definition says.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadRow(f"line {line}: byte {error.start} is not UTF-8 text") from None
    null = settings.get("CsvNullValue", "")
    reached = 0

    def lines():
        nonlocal reached
        for line in io.StringIO(text, newline=""):
            reached += len(line)
            yield line

    quoting = csv.QUOTE_MINIMAL if settings.get("Rfc4180", True) else csv.QUOTE_NONE
    reader = csv.reader(lines(), delimiter=delimiter(settings), quoting=quoting, strict=True)
    skip = int(settings.get("IgnoreHeaderRows", 0))
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise BadRow(f"line {line}: {error}") from None
        if fields is None:
            return
        if skip:
            skip -= 1
        elif fields:  # an empty line is no row
            if len(fields) != len(table.columns):
                raise BadRow(f"line {line}: it has {len(fields)} columns, table {table} has {len(table.columns)}")
            names = (column.name for column in table.columns)
            row = {n: None if f in ("", null) else f for n, f in zip(names, fields, strict=True)}
            yield line, reached / len(text), row


def delimiter(settings):
    r"""The column delimiter of S3Settings, which may be written as an escape (\t)."""
    return settings.get("CsvDelimiter", ",").replace("\\t", "\t")


# -- table mappings ----------------------------------------------------------------------------------------------------

_PARAMETERS = {"partition-key-name", "sort-key-name", "exclude-columns", "attribute-mappings"}
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_SCALARS = {"string": "S", "number": "N", "boolean": "BOOL"}
_DOCUMENTS = {"dynamodb-map": "M", "dynamodb-list": "L"}


@dataclass(frozen=True)
class Mappings:
    """The rules of a task. selections, objects: the rules as they were given, checked."""

    selections: tuple
    objects: tuple

    def selects(self, table):
        """Whether a table is migrated: some rule includes it and none excludes it."""
        actions = {rule["rule-action"] for rule in self.selections if _located(rule, table)}
        return bool(actions & {"include", "explicit"}) and "exclude" not in actions

    def item_maker(self, table):
        """How a table's rows become items. Raises InvalidMappings when the rules do not fit its columns."""
        rule = next((rule for rule in self.objects if _located(rule, table)), None)
        return ItemMaker(table, rule or {"rule-name": "(none)", "rule-action": "map-record-to-record"})


def read_mappings(text):
    """Read table mappings (JSON text). Raises InvalidMappings, whose message starts as AWS's does."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _invalid(f"it is not JSON ({error})") from None
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise _invalid('it has no list of "rules"')
    kinds = {"selection": [], "object-mapping": []}
    for index, rule in enumerate(rules):
        where = f"rule {rule.get('rule-name', index)}"
        if rule.get("rule-type") not in kinds:
            raise _invalid(f"{where}: the sandbox has no rule-type {rule.get('rule-type')!r}, only {', '.join(kinds)}")
        locator = rule.get("object-locator")
        if not isinstance(locator, dict) or not all(
            isinstance(locator.get(key), str) and locator[key] for key in ("schema-name", "table-name")
        ):
            raise _invalid(f"{where} has no object-locator with schema-name and table-name")
        missing = [key for key in ("rule-id", "rule-name", "rule-action") if not rule.get(key)]
        if missing:
            raise _invalid(f"{where} has no {missing[0]}")
        check = _check_selection if rule["rule-type"] == "selection" else _check_object_mapping
        check(rule, where)
        kinds[rule["rule-type"]].append(rule)
    if not any(rule["rule-action"] in ("include", "explicit") for rule in kinds["selection"]):
        raise _invalid("it has no selection rule that includes a table")
    return Mappings(tuple(kinds["selection"]), tuple(kinds["object-mapping"]))


def _invalid(why):
    return InvalidMappings(f"Invalid Table Mappings document: {why}")


def _check_selection(rule, where):
    if rule["rule-action"] not in ("include", "exclude", "explicit"):
        raise _invalid(f"{where}: rule-action must be include, exclude or explicit")
    if rule.get("filters"):
        raise _invalid(f"{where}: the sandbox has no source filters")


def _check_object_mapping(rule, where):
    if rule["rule-action"] not in ("map-record-to-record", "map-record-to-document"):
        raise _invalid(f"{where}: rule-action must be map-record-to-record or map-record-to-document")
    target = rule.get("target-table-name")
    if target is not None and not (isinstance(target, str) and re.fullmatch(r"[\w.-]{3,255}", target)):
        raise _invalid(f"{where}: target-table-name must be the name of a DynamoDB table")
    parameters = rule.get("mapping-parameters", {})
    if not isinstance(parameters, dict):
        raise _invalid(f"{where}: mapping-parameters must be an object")
    unknown = sorted(set(parameters) - _PARAMETERS)
    if unknown:
        raise _invalid(f"{where}: the sandbox has no mapping parameter {unknown[0]!r}")
    columns = parameters.get("exclude-columns", [])
    mappings = parameters.get("attribute-mappings", [])
    if not isinstance(columns, list) or not isinstance(mappings, list):
        raise _invalid(f"{where}: exclude-columns and attribute-mappings must be lists")
    for mapping in mappings:
        if not isinstance(mapping, dict) or not isinstance(mapping.get("target-attribute-name"), str):
            raise _invalid(f"{where}: an attribute mapping has no target-attribute-name")
        name = f"{where}, attribute {mapping['target-attribute-name']}"
        kind, sub_type = mapping.get("attribute-type"), mapping.get("attribute-sub-type")
        if (kind, sub_type) not in {
            *(("scalar", scalar) for scalar in _SCALARS),
            *(("document", document) for document in _DOCUMENTS),
        }:
            raise _invalid(
                f"{name}: attribute-type and attribute-sub-type must be scalar with {', '.join(_SCALARS)}, "
                f"or document with {', '.join(_DOCUMENTS)}"
            )
        value = mapping.get("value")
        if kind == "scalar" and not isinstance(value, str):
            raise _invalid(f"{name}: value must be a template such as ${{column}}")
        if kind == "document" and not _is_template(value, only=_DOCUMENTS[sub_type]):
            raise _invalid(f"{name}: value must be in DynamoDB's JSON, with templates as its texts")


def _is_template(value, only=None):
    """Whether this is an attribute value of DynamoDB's JSON; `only`: of which type."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((type_, content),) = value.items()
    if only and type_ != only:
        return False
    if type_ == "M":
        return isinstance(content, dict) and all(_is_template(member) for member in content.values())
    if type_ == "L":
        return isinstance(content, list) and all(_is_template(member) for member in content)
    return type_ in _SCALARS.values() and isinstance(content, str)


def _located(rule, table):
    locator = rule["object-locator"]
    if rule["rule-action"] == "explicit":
        return (locator["schema-name"], locator["table-name"]) == (table.schema, table.name)
    return _matches(locator["schema-name"], table.schema) and _matches(locator["table-name"], table.name)


def _matches(pattern, name):
    """Wildcards: % for any characters, _ for one, [ab] for one of a set (so [_] is an underscore)."""
    parts = re.findall(r"%|_|\[[^\]]+\]|[^%_\[]+|\[", pattern)
    wildcards = {"%": ".*", "_": "."}
    regex = "".join(
        wildcards.get(part) or (f"[{re.escape(part[1:-1])}]" if part.startswith("[") and len(part) > 1
                                else re.escape(part))
        for part in parts
    )  # fmt: skip
    return re.fullmatch(regex, name, re.DOTALL) is not None


# -- items -------------------------------------------------------------------------------------------------------------


class ItemMaker:
    """Makes DynamoDB items of a table's rows, by an object-mapping rule.

    Without mapping parameters the table's own primary key is the partition key. `target`: the DynamoDB table's name,
    the source table's when the rule has none. `keys`: [(attribute, "S" or "N")], partition key first.
    """

    def __init__(self, table, rule):
        parameters = rule.get("mapping-parameters", {})
        self.target = rule.get("target-table-name", table.name)
        self._columns = {column.name: column for column in table.columns}
        self._mappings = parameters.get("attribute-mappings", [])
        self._as_document = rule["rule-action"] == "map-record-to-document"
        where = f"rule {rule['rule-name']}"
        excluded = parameters.get("exclude-columns", [])
        used = {name for mapping in self._mappings for name in _columns_in(mapping["value"])}
        unknown = sorted({*excluded, *used} - set(self._columns), key=str)
        if unknown:
            raise _invalid(f"{where}: table {table} has no column {unknown[0]!r}")
        own_keys = [column.name for column in table.columns if column.is_key]
        partition = parameters.get("partition-key-name")
        if partition is None:
            if len(own_keys) != 1:
                raise _invalid(
                    f"{where}: table {table} has {len(own_keys)} primary key columns, "
                    "so partition-key-name (and sort-key-name) must say what identifies an item"
                )
            partition = own_keys[0]
        names = [partition, *([parameters["sort-key-name"]] if "sort-key-name" in parameters else [])]
        mapped = {m["target-attribute-name"]: _SCALARS.get(m["attribute-sub-type"]) for m in self._mappings}
        for name in names:
            if name not in mapped and (name not in self._columns or name in excluded):
                raise _invalid(f"{where}: key {name!r} is neither a column of {table} nor an attribute mapping")
        self.keys = [(name, mapped.get(name) or self._columns[name].key_type) for name in names]
        self._copied = [name for name in self._columns if name not in excluded]
        self._key_columns = [name for name in names if name not in mapped]

    def item(self, row):
        """The item of a row. NULLs are left out. Raises BadRow, naming the column."""
        values = {}
        for name, column in self._columns.items():
            try:
                values[name] = column.attribute(row[name])
            except ValueError as error:
                raise BadRow(f"column {name}: {error}") from None
        copied = {name: values[name] for name in self._copied if values[name] is not None}
        if self._as_document:
            keys = {name: copied[name] for name in self._key_columns if name in copied}
            copied = {**keys, "_doc": {"M": copied}}
        for mapping in self._mappings:
            scalar = _SCALARS.get(mapping["attribute-sub-type"])
            attribute = _filled({scalar: mapping["value"]} if scalar else mapping["value"], values)
            if attribute is not None:
                copied[mapping["target-attribute-name"]] = attribute
        return copied


def _columns_in(template):
    if isinstance(template, str):
        return set(_PLACEHOLDER.findall(template))
    members = template.values() if isinstance(template, dict) else template
    return set().union(*(_columns_in(member) for member in members)) if members else set()


def _filled(template, values):
    """An attribute value with its placeholders replaced; None where all its columns are NULL. Raises BadRow."""
    ((type_, content),) = template.items()
    if type_ == "M":
        members = {name: _filled(member, values) for name, member in content.items()}
        return {"M": {name: member for name, member in members.items() if member is not None}}
    if type_ == "L":
        return {"L": [m for m in (_filled(member, values) for member in content) if m is not None]}
    names = _PLACEHOLDER.findall(content)
    if names and all(values[name] is None for name in names):
        return None
    text = _PLACEHOLDER.sub(lambda match: _plain(values[match[1]]), content)
    if type_ == "S":
        return {"S": text}
    try:
        return Column("", "BOOLEAN" if type_ == "BOOL" else "REAL8", False, False).attribute(text)
    except ValueError as error:
        raise BadRow(f"attribute mapping {content}: {error}") from None


def _plain(attribute):
    if attribute is None:
        return ""
    (value,) = attribute.values()
    return str(value).lower() if isinstance(value, bool) else value
