import pytest
from hypothesis import given
from hypothesis import strategies as st

from opdex.ranking.clauses import MAX_CLAUSES, begins_with_verb, first_verb, split_clauses
from tests.unit.ranking.documents import few


@pytest.mark.parametrize(
    ("query", "clauses"),
    [
        ("Create a pet and list all pets", ["Create a pet", "list all pets"]),
        ("List pets, then delete the first one", ["List pets", "delete the first one"]),
        ("List pets. Delete one!", ["List pets", "Delete one"]),
        ("create a user; delete another", ["create a user", "delete another"]),
        ("list pets,delete them", ["list pets", "delete them"]),
        ("create a user;add it to a team", ["create a user", "add it to a team"]),
        ("log in! refund an order", ["log in", "refund an order"]),
        ("create a user & add it to a team", ["create a user", "add it to a team"]),
        ("who am I?list my teams", ["who am I", "list my teams"]),
        ("查询订单列表。取消订单", ["查询订单列表", "取消订单"]),
        ("DELETE THE PET AND LIST ALL", ["DELETE THE PET", "LIST ALL"]),
        ("Find it, I want to delete the pet", ["Find it", "I want to delete the pet"]),
        ("get the weather before you book a flight", ["get the weather", "you book a flight"]),
        ("upload a file as well as share the folder", ["upload a file", "share the folder"]),
        ("get one or create one while updating", ["get one", "create one while updating"]),
        ("Список питомцев, удалить одного. Создать нового", ["Список питомцев, удалить одного", "Создать нового"]),
    ],
)
def test_query_is_split_when_a_new_clause_begins(query: str, clauses: list[str]) -> None:
    assert split_clauses(query) == clauses


@pytest.mark.parametrize(
    "query",
    [
        "list pets",
        "find cats and dogs",
        "cats, dogs, birds",
        "raise the price by 1.5 and 2.25 percent",
        "Get the user, e.g. by their id",
        "e.g. list pets",
        "",
        "   ",
        "\x00",
        ".,;!?" * 200,
        "列出所有宠物然后删除一个",
        "search for R&D and Q&A",
        "call search?list=all",
    ],
)
def test_query_is_whole_when_nothing_begins_anew(query: str) -> None:
    assert split_clauses(query) == []


@pytest.mark.parametrize(
    "query",
    [
        'add "milk, delete it. Then list" to my notes',
        "say “stop, delete it” to them",
        "call `get x, delete y` now",
        "open https://example.com/a,list and more",
        "call /pets/and/list for me",
    ],
)
def test_query_is_whole_when_only_a_name_in_it_looks_like_a_clause(query: str) -> None:
    assert split_clauses(query) == []


@pytest.mark.parametrize(
    ("query", "clauses"),
    [
        ('say "a and delete b" then list pets', ['say "a and delete b"', "list pets"]),
        ("read https://example.com/a?b=c. Then list pets", ["read https://example.com/a?b=c", "list pets"]),
        ('an open " quote, delete the pet', ['an open " quote', "delete the pet"]),
        ("a\x00b here, delete the pet", ["a\x00b here", "delete the pet"]),
    ],
)
def test_query_is_split_beside_names(query: str, clauses: list[str]) -> None:
    assert split_clauses(query) == clauses


def test_pieces_of_one_word_are_merged() -> None:
    assert split_clauses("Delete. List all pets. Create one") == ["Delete List all pets", "Create one"]
    assert split_clauses("List all pets. Thanks") == []


def test_eight_clauses_are_kept_when_there_are_more() -> None:
    clauses = split_clauses("; ".join(f"list thing{number}" for number in range(12)))
    assert clauses == [f"list thing{number}" for number in range(MAX_CLAUSES)]


@pytest.mark.parametrize(
    "piece", [",", '"', "“", "`", "and ", "and", "a/", "://", "w", " ", "\n", ". ", ", delete ", "a."]
)
def test_long_repetition_ends_soon(piece: str) -> None:
    # A regular expression that backtracks without bound would not end within the suite's time limit.
    assert len(split_clauses(piece * (4_000 // len(piece)))) <= MAX_CLAUSES


@few
@given(st.text(max_size=100) | st.lists(st.sampled_from(["and", ",", "delete", ".", '"', "x", "/"])).map(" ".join))
def test_clauses_are_parts_of_any_query_in_their_order(query: str) -> None:
    clauses = split_clauses(query)
    assert len(clauses) != 1
    assert len(clauses) <= MAX_CLAUSES
    position = 0
    for word in " ".join(clauses).split():
        position = query.find(word, position)
        assert position >= 0


@pytest.mark.parametrize(
    ("text", "verb"),
    [("please also delete it", "delete"), ("the pet to delete", "delete"), ("cats and dogs", None), ("", None)],
)
def test_first_verb_is_the_first_that_is_one(text: str, verb: str | None) -> None:
    assert first_verb(text) == verb


def test_clause_begins_with_a_verb_when_only_fillers_are_before() -> None:
    assert begins_with_verb("please then list")
    assert not begins_with_verb("the pet to delete")
