"""Clauses: a request that needs several operations is ranked by each of its parts as well as by the whole."""

import re
from itertools import pairwise

from opdex.ranking.words import words

MAX_CLAUSES = 8
_MIN_WORDS = 2

VERBS = frozenset(
    """
    abort accept access acknowledge activate add adjust allocate allow analyze annotate answer append apply approve
    archive assess assign attach authenticate authorize ban block book broadcast browse build buy calculate
    calibrate call cancel capture categorize change check choose classify clear clone close collect commit compare
    complete compress compute configure confirm connect convert copy count create deactivate decline decode decrypt
    define delegate delete deliver deny deploy describe detach detect determine disable disconnect discover dismiss
    dispatch display downgrade download drop duplicate edit enable encode encrypt end enroll ensure enter erase
    escalate establish estimate evaluate examine exchange exclude execute export extend fetch filter find finish
    follow forecast forward freeze generate get give grant handle help hide identify implement import include
    increase inform initialize initiate insert inspect install invite issue join launch leave like list load locate
    lock log look make manage mark measure merge migrate mint modify monitor move mute notify obtain onboard open
    optimize order overwrite pause pay perform pin ping place play post postpone predict prepare prevent process
    promote propose provide provision publish pull purchase push put query rate reactivate read reassign reboot
    rebuild receive recommend record recover redeem redo refresh refund register reindex reject release remove
    rename renew reopen replace reply report request reschedule resend reserve reset resolve restart restore
    restrict resume retrieve return review revoke rotate run save schedule search see select send set share ship
    show sign simulate skip sort start stop store submit subscribe suggest summarize suspend swap switch sync
    synchronize tell terminate test track transcode transcribe transfer transform translate transmit trigger turn
    unarchive unassign unblock undo unfollow uninstall unlink unlock unmute unpin unpublish unsubscribe update
    upgrade upload use validate verify view vote warn watch wipe withdraw write
    """.split()  # noqa: SIM905 - read as words
)
FILLERS = frozenset(
    """
    please also then finally next first second lastly additionally afterwards and or to i we you want need would like
    can could let us me help be able now just again that it furthermore moreover subsequently s
    """.split()  # noqa: SIM905 - read as words
)

# What is in quotation marks is a name that the request gives, and so is an address: nothing in it begins a clause.
_NAMED = re.compile(r'"[^"\n]{0,300}"|“[^”\n]{0,300}”|`[^`\n]{0,300}`|(?:\w+:/)?/\S*[\w/}]')
# Not the points of "e.g.", nor of an initial.
_SENTENCE_END = re.compile(r"(?<!\b[A-Za-z])\.(?=\s|$)|[!;]|\?(?!\w+=)|[\u3002\uff01\uff1b\uff1f]|\n+")
_JOINT = re.compile(r"[,&]|\b(?:and|then|or|while|before|after|as well as)\b", re.IGNORECASE)
_MASK = "\x00"


def split_clauses(query: str) -> list[str]:
    """Return the clauses of a query in order: at most eight, each of at least two words; [] where it is only one.

    A new one begins after the end of a sentence, and after a comma or a joining word that a verb follows.
    """
    masked = _NAMED.sub(lambda found: _MASK * len(found[0]), query)
    cuts = {0}
    for sentence in _SENTENCE_END.finditer(masked):
        cuts.add(sentence.end())
    for joint in _JOINT.finditer(masked):
        if begins_with_verb(masked[joint.end() : joint.end() + 80]):
            cuts.add(joint.end())
    ordered = [*sorted(cuts), len(query)]
    pieces: list[str] = []
    for start, end in pairwise(ordered):
        piece = _tidy(query[start:end])
        if not piece:
            continue
        if pieces and (len(words(piece)) < _MIN_WORDS or len(words(pieces[-1])) < _MIN_WORDS):
            pieces[-1] = f"{pieces[-1]} {piece}"
        else:
            pieces.append(piece)
    return pieces[:MAX_CLAUSES] if len(pieces) > 1 else []


def begins_with_verb(text: str) -> bool:
    """Return whether the first word that is no filler is one of the verbs."""
    return first_verb(text, within=1) is not None


def first_verb(text: str, within: int | None = None) -> str | None:
    """Return the first verb among the first ``within`` words that are no fillers; among all where that is None."""
    said = [word for word in words(text) if word not in FILLERS]
    return next((word for word in said[:within] if word in VERBS), None)


_TAIL = re.compile(r"(?:\s|[,&]|\b(?:and|then|or|while|before|after|as well as)\b)+$", re.IGNORECASE)


def _tidy(piece: str) -> str:
    return _TAIL.sub("", piece.strip(" \t\n,.;!?&\u3001\u3002\uff01\uff0c\uff1b\uff1f"))
