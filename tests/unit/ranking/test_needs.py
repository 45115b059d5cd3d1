import pytest

from opdex.ranking.needs import MAX_NEEDS, MAX_PRODUCERS, MAX_SEARCHES, Need, find_needs
from tests.unit.ranking.documents import operation


def needs(*addresses: str) -> list[tuple[Need, ...]]:
    """Return what the operations of these addresses need."""
    return find_needs([operation(address) for address in addresses])


def test_list_is_what_an_operation_on_one_needs() -> None:
    assert needs("GET /pets", "GET /pets/{petId}", "DELETE /pets/{id}") == [(), ((0,),), ((0,),)]


@pytest.mark.parametrize(
    "name", ["petId", "pet_gid", "pet-uuid", "petKey", "petSlug", "petName", "petNumber", "petCode"]
)
def test_noun_is_the_name_without_its_key(name: str) -> None:
    assert needs("GET /pets", f"GET /animals/of/{{{name}}}")[1] == ((0,),)


def test_each_parameter_is_needed_when_there_are_several() -> None:
    found = needs("GET /owners", "GET /owners/{ownerId}/pets", "PUT /owners/{ownerId}/pets/{petId}")
    assert found == [(), ((0,),), ((0,), (1,))]


def test_first_parameters_are_needed_when_a_path_is_nothing_but_parameters() -> None:
    assert needs("GET /pets", "GET /x" + "/{petId}" * 200)[1] == ((0,),) * MAX_NEEDS


def test_two_parameters_are_two_needs_when_one_segment_has_both() -> None:
    assert needs("GET /owners", "GET /pets", "GET /of/{ownerId}.{petId}")[2] == ((0,), (1,))


def test_nothing_is_needed_when_nothing_produces_it() -> None:
    assert needs("POST /pets", "GET /pets/{petId}", "GET /shops") == [(), (), ()]


def test_an_operation_is_never_its_own_producer() -> None:
    assert needs("GET /pets/{petId}/pets") == [()]


def test_self_is_what_users_and_accounts_need() -> None:
    found = needs("GET /me", "GET /users/{id}", "GET /accounts/{accountId}", "GET /pets/{petId}")
    assert found == [(), ((0,),), ((0,),), ()]


def test_searches_are_needed_by_all_when_they_are_few() -> None:
    searches = [f"GET /search{number}" for number in range(MAX_SEARCHES)]
    assert needs(*searches, "GET /pets/{petId}")[-1] == ((0, 1, 2),)
    assert needs(*searches, "GET /search9", "GET /pets/{petId}")[-1] == ()


def test_producers_are_left_out_when_they_are_many() -> None:
    lists = [f"GET /{number}/pets" for number in range(MAX_PRODUCERS)]
    assert needs(*lists, "GET /pet/{petId}")[-1] == (tuple(range(MAX_PRODUCERS)),)
    assert needs(*lists, "GET /more/pets", "GET /pet/{petId}")[-1] == ()


@pytest.mark.parametrize(("properties", "found"), [("total items", ((0,),)), ("data", ((0,),)), ("total", ())])
def test_list_of_schemas_is_a_producer_when_the_answer_is_in_a_wrapper(
    properties: str, found: tuple[Need, ...]
) -> None:
    zoo = operation("GET /zoo", response_schema="PetPage", response_properties=properties)
    assert find_needs([zoo, operation("GET /one/{petId}")])[1] == found


def test_slash_at_the_end_changes_nothing() -> None:
    assert needs("GET /pets/", "GET /pets/{petId}/") == [(), ((0,),)]


@pytest.mark.parametrize(
    "path", ["/", "//", "/{", "/{}", "/}{", "/{a}{b}", "/{{a}}", "/\x00/{\x00}", "/" + "{a}" * 700]
)
def test_odd_paths_are_read(path: str) -> None:
    assert len(needs(f"GET {path}", "GET /a")) == 2
