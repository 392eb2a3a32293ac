r"""Strings on which tokenizers have been wrong, shared by every test that compares one with another.

Each group is a rule of a pretokenizer, a border of a buffer, or a trap that a published tokenizer fell
into. `HARD_STRINGS` is all of them, followed by mixtures: fragments drawn and joined at random, with a
fixed seed, so that each rule also meets the others. A bug that is found adds a line to its group.
"""

from __future__ import annotations

import random

# Every character that Unicode calls white space, and eight that look like it and are not.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
NOT_WHITE_SPACE = "\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"

# fmt: off
CONTRACTIONS = [
    # U+017F, the long s, folds to s: (?i:'s) matches it. U+2019 is no apostrophe to any pattern.
    *(f"x{quote}{end}" for quote in ("'", "\u2019", "`") for end in ("s", "S", "\u017f", "t", "d", "m", "M")),
    *(f"x'{end}" for end in ("ll", "lL", "Ll", "LL", "ve", "vE", "Ve", "VE", "re", "rE", "Re", "RE")),
    *(f"x'{end}" for end in ("l", "v", "r", "sx", "Sx", "llx", "\u017fx", "\u212a", "k", "\u0131", "\u0130")),
    *("'s", "'S", "'\u017f", "''s", " 's", "'s's", "'ll've", "1's", "!'s", "\n'S", "DON'T", "Don'T've"),
    *("I'M", "o'clock"),
    *("we'll\u0301", "it's\u0301", "d'accord", "L'ARTISTE", "'" * 5, "'" * 5 + "s", "x' s", "x'\ns"),
    "na\u00efve's",
]

SPACES = [
    *WHITE_SPACE,
    *NOT_WHITE_SPACE,
    *(f"a{space}b" for space in WHITE_SPACE + NOT_WHITE_SPACE),
    *(f"a{space}{space}b" for space in WHITE_SPACE + NOT_WHITE_SPACE),
    *(f"{space}\n" for space in WHITE_SPACE),
    *(f"\n{space}x" for space in WHITE_SPACE),
    *(f" {space}1 {space}!" for space in WHITE_SPACE),
    *("\n \n", " \n ", "\n  ", "  \n", "a\n  b", "a \n\n b", "a  \n  b  ", "\t\t\x0b", "\x0b\t\n"),
    *("   x", "x   ", " ", ""),
    *("\r\n", "\r\n\r\n", "\n\r", "\r\r\n", "a\r\nb", "a\r\n\r\n  b", "a \r\n b", "!\r\n", "!\n\n\n"),
    *("!\r \n", "!/\n/", "a/\n"),
    *("//\r\n//", "\u3000\u3000\u4e2d", "\xa0\xa0x", "\xa0 x", " \xa0x", "\u2028\u2029x", "1 \n2"),
    *("1\n 2", "x\u2003\ny"),
]

LETTERS = [
    # Combining marks: part of a word in o200k, "other" in cl100k and GPT-2.
    *("e\u0301", "\u0301", " \u0301", "a\u0301b", "\u0301a", "1\u0301", "!\u0301", "\n\u0301"),
    "e\u0301\u0302\u0303x",
    "\u0915\u094d\u0937\u093f",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
    *("\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48", "\u1780\u17d2\u1798\u17c2\u179a"),
    "\u0bb5\u0ba3\u0b95\u0bcd\u0b95\u0bae\u0bcd",
    *("\u20dd", "a\u20dd", "\u0488x", "Z\u0351\u036b\u0343a\u033b\u0326lgo"),
    # Case: title case digraphs, modifier letters, letters without case, lower-case capitals.
    *("\u01c5", "\u01c5a", "\u01c5A", "a\u01c5", "A\u01c5b", "\u1f88x", "\u02b0", "A\u02b0", "\u02b0A"),
    *("\u02b0a", "\u00aa", "1\u00ba"),
    *("camelCase", "CamelCase", "HTTPServer", "XMLHttpRequest", "aB", "Ab", "AB", "ABc", "aBC"),
    *("iPhone15Pro", "\u0130stanbul", "\u1e9e\u00df"),
    *("\u041f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0420\u0418\u0432\u0435\u0442"),
    *("\u0414\u0456\u043c", "\u10d0\u10d1", "\u1c90\u10d1", "\u13a0\uab70", "\u212b\u212a"),
    # Chinese, Japanese, Korean (composed and by jamo), beyond the basic plane.
    *("\u4e2d\u6587", "\u4e2d\u6587\u3002", "\u3001\u4e2d"),
    *("\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8\u3002", "\u30fc\u30fc", "\ud55c\uad6d\uc5b4"),
    *("\u1112\u1161\u11ab", "\U00020000\U0002a6d6"),
    *("abc\u4e2d\u6587def", "A\u4e2da", "\u4e2dA", "a\u3042B", "\u3007", "\u3021\u3022"),
    *("\u0634\u0643\u0631\u0627\u064b", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u202e\u05d0b"),
]

NUMBERS = [
    # Nd, Nl and No; three digits at a time in cl100k and its kin.
    *("1", "12", "123", "1234", "1234567", "1,234.56", "3.14", "0x1F", "1e-9", "a1b22c333d4444", "1a"),
    *("-1", "+12", " 123", " 1234"),
    *("\u0661\u0662\u0663\u0664", "\u0967\u0968\u0969\u096a", "\u2167", "\u2167\u2168", "\u00bd"),
    *("\u00b2\u00b3\u00b9", "1\u00b2", "\u2460\u2461", "\u3220"),
    "\U0001d7ce\U0001d7cf\U0001d7d0\U0001d7d1",
    *("\u4e00\u4e8c\u4e09", "\u09f9", "\u0f33", "2024-11-23T10:00:00Z", "v1.2.3", "127.0.0.1", "50%"),
    *("\u20ac99", "\uff11\uff12\uff13\uff14"),
]

SYMBOLS = [
    *("!", "!!", " !", " !!", "?!\n", "...", "\u2026", "--", "\u2014", "_", "__init__", "a_b", "$x"),
    *("#tag", "@user", "<|endoftext|>", "<|endoftext|", "\\n"),
    *("{}", "({[]})", "=>", "!==", "/*c*/", "//x", "a/b", "a//b", "https://example.org/a?b=c&d=%20#e"),
    *("x@y.zz", "\u00a9\u00ae", "\u221e\u2260", "\u00ad", "a\u00adb"),
    # Emoji: skin tones, joined families, flags, keycaps, variation selectors.
    *("\U0001f600", "\U0001f44d\U0001f3fd"),
    *("\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea"),
    *("1\ufe0f\u20e3", "\u2764\ufe0f", "\u2764", "\u200d", "\ufe0f"),
    *("a\U0001f600b", " \U0001f600 \U0001f600"),
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    # Control characters, byte order marks, the ends of the planes, private and unassigned characters.
    *("\0", "a\0b", "\0\0\0", " \0", "\x01\x02", "\x1b[31m", "\x7f", "\x80", "\x9f", "\ufeff"),
    *("\ufeffa", "a\ufeffb", "\ufeff\n", "\ufffd", "\ufffe", "\uffff"),
    *("\ue000", "\u0378", "\U0001ffff", "\U000e0001", "\U0010ffff", "\U0010ffff" * 3, "\ud7ff"),
    *("\u07ff\u0800", "\uffff\U00010000"),
]

# fmt: on

# Runs, and pieces around the sizes at which implementations change their ways.
RUN_LENGTHS = [7, 8, 9, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257]
RUNS = [
    *(
        unit * length
        for unit in ("a", "A", " ", "\n", "0", "!", "^", "_", "\u00e9", "\u0301")
        for length in RUN_LENGTHS
    ),
    *(unit * (length // 2) for unit in ("ab", "\r\n", "\u4e2d", "\U0001f600", "' ", "\t ") for length in RUN_LENGTHS),
    *("x" + " " * length + "y" for length in RUN_LENGTHS),
    *("x" + "\n" * length + " y" for length in RUN_LENGTHS),
    *("".join(chr(0x61 + index * 7 % 26) for index in range(length)) for length in RUN_LENGTHS),
    *(" " + "".join(chr(0x430 + index * 7 % 32) for index in range(length)) for length in RUN_LENGTHS),
]

PLAIN = [*CONTRACTIONS, *SPACES, *LETTERS, *NUMBERS, *SYMBOLS]


def mixtures(number: int, seed: int) -> list[str]:
    """Join fragments at random: mostly a few, sometimes many; mostly as they are, sometimes with spaces."""
    random_source = random.Random(seed)
    mixed = []
    for _ in range(number):
        fragments = random_source.choices(PLAIN, k=random_source.choice((2, 3, 4, 6, 10, 40)))
        mixed.append(random_source.choice(("", "", "", " ", "\n")).join(fragments))
    return mixed


HARD_STRINGS = list(dict.fromkeys([*PLAIN, *RUNS, *mixtures(3000, seed=1)]))

# What is not UTF-8: each kind of fault alone and inside of text.
HARD_BYTES = [
    fault if not inside else b"a " + fault + b" b\n"
    for inside in (False, True)
    for fault in (
        *(
            b"\x80",
            b"\xbf\xbf",
            b"\xc0\x80",
            b"\xc1\xbf",
            b"\xc2",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
            b"\xf0\x9f",
            b"\xf4\x90\x80\x80",
        ),
        *(
            b"\xed\xa0\x80",
            b"\xed\xa0\xbd\xed\xb8\x80",
            b"\xf5\x80\x80\x80",
            b"\xf8\x88\x80\x80\x80",
            b"\xfe\xff",
            b"\xff",
            b"\xff" * 40,
        ),
        *(
            b"\xe4\xb8\xad\xe4",
            b"'\xff",
            b"'\xc5",
            b"'s\xc5\xbf\xc5",
            b" \xff 1\xff\xff",
            b"\xc3\xa9\xc3",
            b"\n\xff\n\n\xff",
            bytes(range(256)),
        ),
    )
]
