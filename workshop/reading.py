"""How long a notebook takes: computed from what it has, so that what it says of itself can be held to it.

A reader who is new to it reads 180 words a minute and thinks a minute about a prediction. In a lab an exercise takes
five minutes of thought, and each line that is written one. To that comes what the cells took when they were last run.
"""

import dataclasses
import re

WORDS_A_MINUTE = 180
MINUTES_A_PREDICTION = 1
MINUTES_AN_EXERCISE = 5
MINUTES_A_LINE = 1


@dataclasses.dataclass(frozen=True)
class Time:
    """words: of prose. predictions, exercises, lines: how many. seconds: what the cells took."""

    words: int
    predictions: int = 0
    exercises: int = 0
    lines: int = 0
    seconds: float = 0

    @property
    def minutes(self) -> float:
        thought = self.predictions * MINUTES_A_PREDICTION + self.exercises * MINUTES_AN_EXERCISE
        return self.words / WORDS_A_MINUTE + thought + self.lines * MINUTES_A_LINE + self.seconds / 60


def words(markdown: str) -> int:
    """How many words there are to be read: without diagrams, code blocks, the addresses of links, and HTML's signs."""
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
    return len(re.findall(r"[\w'’`$./-]*\w[\w'’`$./-]*", text))
