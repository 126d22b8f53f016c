"""What a step says in print."""

import textwrap

LINE = 96  # letters


def say(words: str) -> None:
    """Print, with lines that end between words: notebooks break them anywhere."""
    print(textwrap.fill(words, LINE, break_on_hyphens=False, break_long_words=False))
