"""Decoding of ids as they arrive, with the interface of ``tokenizers.decoders.DecodeStream``.

Naive: decode each id by itself, which breaks characters of several tokens and loses spaces between words. Idea: decode
the last few ids together, give out what is new, and hold back what ends in the middle of a character.
Cost: two decodings of a few ids a step.

`tokfast.Tokenizer.stream_decoder` does the same from bytes, and loses nothing where ids are no text.

Source: Hugging Face tokenizers 0.23.3, ``step_decode_stream`` (Apache-2.0), for what is held back.
"""

from collections.abc import Sequence

from tokfast.huggingface import Tokenizer

__all__ = ["DecodeStream"]

_BROKEN = "\ufffd"


class DecodeStream:
    """Text out of ids that arrive one by one.

    Parameters
    ----------
    ids
        Ids before the first one, whose text is not given out.
    skip_special_tokens
        Whether special tokens are passed over.

    Examples
    --------
    >>> import tokfast
    >>> from tokfast.huggingface import Tokenizer
    >>> from tokfast.huggingface.decoders import DecodeStream
    >>> tokfast.train(["a\u00efb"], 256).save("tokenizer.json")
    >>> tokenizer, stream = Tokenizer.from_file("tokenizer.json"), DecodeStream()
    >>> [stream.step(tokenizer, number) for number in tokenizer.encode("a\u00efb").ids]
    ['a', None, '\u00ef', 'b']
    """

    def __init__(self, ids: Sequence[int] | None = None, skip_special_tokens: bool = False) -> None:
        self._ids = list(ids or ())
        self._skip = skip_special_tokens
        self._prefix = ""
        self._given = 0

    def step(self, tokenizer: Tokenizer, id: int | Sequence[int]) -> str | None:  # noqa: A002 (the other library's name)
        """Take an id, or several; return the text that is complete now, or None.

        Raises
        ------
        ValueError
            The text of earlier ids has changed by these, so that what is new cannot be told.
        """
        if not self._prefix and self._ids:
            prefix = tokenizer.decode(self._ids, self._skip)
            if not prefix.endswith(_BROKEN):
                self._prefix, self._given = prefix, len(self._ids)
        self._ids += [id] if isinstance(id, int) else id
        text = tokenizer.decode(self._ids, self._skip)
        if len(text.encode()) <= len(self._prefix.encode()) or text.endswith(_BROKEN):
            return None
        if not text.startswith(self._prefix):
            raise ValueError(
                f"the text of earlier ids, {self._prefix!r}, has become {text[: len(self._prefix)]!r}; decode the ids "
                "together, or use tokfast.Tokenizer.stream_decoder"
            )
        new = text[len(self._prefix) :]
        kept = len(self._ids) - self._given
        self._ids = self._ids[self._given :]
        self._prefix, self._given = tokenizer.decode(self._ids, self._skip), kept
        return new
