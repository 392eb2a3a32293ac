"""Questions people ask of tokenizers, answered in numbers.

- `compare`: which tokenizer needs fewer tokens, for which language, and at whose expense?
- `vocab_sizes`: what does a larger vocabulary buy, and what does it cost?
- `check`: does this tokenizer fit this model?
- `explain`: why was this word split so?
- `render_page`: how does a text look in tokens, and what else is in the vocabulary?

The last returns HTML, the others a frozen dataclass. Those that hold a table have ``rows()``, a list of dicts that
``pandas.DataFrame`` and ``polars.DataFrame`` take as it is, and ``to_dict()``, the same by columns.
"""

from tokfast.analysis.comparison import Comparison, LanguageRow, VocabularyUse, compare
from tokfast.analysis.consistency import Check, Finding, check
from tokfast.analysis.explanation import Boundary, Explanation, Merge, TokenTree, explain
from tokfast.analysis.page import render_page
from tokfast.analysis.sizes import SizeRow, VocabSizes, vocab_sizes

__all__ = [
    "Boundary",
    "Check",
    "Comparison",
    "Explanation",
    "Finding",
    "LanguageRow",
    "Merge",
    "SizeRow",
    "TokenTree",
    "VocabSizes",
    "VocabularyUse",
    "check",
    "compare",
    "explain",
    "render_page",
    "vocab_sizes",
]
