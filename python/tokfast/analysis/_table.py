"""A table of equal dataclasses, in the shapes that other libraries take."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Table:
    """Mixed into a result whose `table` is a sequence of equal dataclasses.

    Examples
    --------
    >>> from tokfast.analysis import compare
    >>> result = compare(["tokfast-32k"], {"en": "some text", "de": "etwas Text"})
    >>> [row["language"] for row in result.rows()]
    ['en', 'de']
    >>> result.to_dict()["n_tokens"]
    [2, 3]
    """

    @property
    def table(self) -> Sequence[Any]:
        """The rows as dataclasses."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """Return the table as a list of dicts: ``pandas.DataFrame(x.rows())``, ``polars.DataFrame(x.rows())``."""
        return [asdict(row) for row in self.table]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the table by columns."""
        names = [field.name for field in fields(self.table[0])] if self.table else []
        return {name: [getattr(row, name) for row in self.table] for name in names}

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the table by the Arrow PyCapsule interface; needs pyarrow."""
        try:
            import pyarrow as pa
        except ImportError as error:
            raise ImportError("an Arrow table needs pyarrow: pip install pyarrow, or use rows()") from error
        return pa.table(self.to_dict()).__arrow_c_stream__(requested_schema)
