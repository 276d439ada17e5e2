"""`column IN (as many values as there are)` as one parameter: the text of the statement is the same for 3 values and for 3,000.

SQLAlchemy's own `in_` makes the text anew for each number of values, which costs more than the query does.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import BigInteger, BindParameter, Column, Dialect, Integer, String, TypeDecorator, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class _Values(TypeDecorator[Any]):
    """Numbers or texts: a JSON list for SQLite, an array for PostgreSQL."""

    impl = String
    cache_ok = True

    def __init__(self, *, numbers: bool) -> None:
        super().__init__()
        self.numbers = numbers

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String())
        return dialect.type_descriptor(ARRAY(BigInteger() if self.numbers else String()))

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return orjson.dumps(values).decode() if dialect.name == "sqlite" else values


class among(FunctionElement[int]):  # noqa: N801 - it is written like a function
    """Whether a column's value is among those of the parameter `name`, given as any iterable."""

    type = Integer()  # a Boolean would be written `… = 1` on SQLite, which no index answers
    inherit_cache = True

    def __init__(self, column: Column[Any], name: str) -> None:
        numbers = isinstance(column.type, Integer)
        parameter: BindParameter[Any] = bindparam(name, type_=_Values(numbers=numbers))
        super().__init__(column, parameter)


@compiles(among, "sqlite")
def _on_sqlite(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} IN (SELECT value FROM json_each({compiler.process(values, **kw)}))"  # noqa: S608 - a name and a parameter


@compiles(among, "postgresql")
def _on_postgresql(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"
