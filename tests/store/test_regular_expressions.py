"""Regular expressions mean on PostgreSQL what RE2 says that they mean."""

import random

import pytest
import re2
from sqlalchemy import column, create_engine, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from dicom_graph.store.sql.functions import matches_regex
from dicom_graph.store.sql.regular_expressions import BadPattern, check_pattern

ATOMS = [
    *"abAB1_ -.éÉ\n|", *(f"\\{name}" for name in "dwsDWSbBAzn.-/[{"), "^", "$", "[ab]", "[^ab]",
    "[a-z0-9]", "[[:alpha:]]", "[[:^digit:]x]", r"[\d-]", "[]a]", "[^]a]", r"[\]\\]", r"[\W]",
    r"[a\-z]", "[+--]", r"\Qa.b\E", r"\x41", r"\x{e9}", r"\101", "(a|b)", "(?:a|)", "(?P<n>ab)",
    "()", "}", "]", "a{2}", "b{1,3}", "{",
]  # fmt: skip
REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,1}?"]
FLAGS = ["", "", "", "(?i)", "(?m)", "(?s)", "(?im)", "(?U)"]
TEXTS = [
    "", "a", "ab", "aB", "A B", "a1_b", "a\nb", "é", "É", "a.b", "a-b", "]", "\\", "{", "aab bb",
    "1", "_", "b\n", "ba", "a b ", "\t", "\v", "ab.a.b", "+,-", "two\r\nlines", "ns_é",
]  # fmt: skip
PATTERNS = 120


def patterns() -> list[str]:
    """Random ones that both databases take."""
    dice = random.Random(15)
    found: list[str] = []
    while len(found) < PATTERNS:
        parts = [dice.choice(ATOMS) + dice.choice(REPEATS) for _ in range(dice.randint(1, 4))]
        pattern = dice.choice(FLAGS) + "".join(parts)
        try:
            check_pattern(pattern)
        except BadPattern:
            continue
        found.append(pattern)
    return found


def test_postgresql_finds_what_re2_does(postgres_url: str) -> None:
    options = re2.Options()
    options.dot_nl = True
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        for pattern in patterns():
            given = func.unnest(literal(TEXTS, ARRAY(Text)))
            held = given.table_valued(column("text", Text), with_ordinality="n").render_derived()
            text = held.c.text.collate("C")
            statement = select(matches_regex(False, text, pattern)).order_by(held.c.n)
            wanted = [re2.compile(pattern, options).search(text) is not None for text in TEXTS]
            assert connection.execute(statement).scalars().all() == wanted, pattern
    engine.dispose()


@pytest.mark.parametrize("pattern", [r"a\p{Greek}", r"\C", "(?i:a)", "[[:nothing:]]", "a{300}"])
def test_what_both_do_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern, match="`regex`"):
        check_pattern(pattern)
