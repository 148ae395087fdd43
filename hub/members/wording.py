"""What staff write about people: who they are, and why. Pure."""

from hub.errors import Malformed

LONGEST_WORDS = 500
LONGEST_ACTOR = 200


def checked(words: str, *, field: str, longest: int = LONGEST_WORDS) -> str:
    """Return the words; raises Malformed unless they say something that can be kept."""
    if not 1 <= len(words.strip()) <= longest or not words.isprintable():
        raise Malformed(f"{field} has 1 to {longest} printable characters", field=field)
    return words
