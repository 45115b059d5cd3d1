from opdex.ranking.verbs import count_verbs
from tests.unit.ranking.documents import operation


def test_verbs_are_counted_once_an_operation_when_all_texts_begin_with_them() -> None:
    counts = count_verbs([
        operation("GET /a", "Lists pets", operation_id="listPets", description="Listing pets."),
        operation("GET /b", "List owners", operation_id="getOwners"),
        operation("POST /c", operation_id="", description="create a pet"),
        operation("POST /d", "!!!"),
    ])  # fmt: skip
    assert counts == {("list", "GET"): 2, ("get", "GET"): 1, ("creat", "POST"): 1}


def test_method_is_no_verb_when_the_document_gives_no_operation_id() -> None:
    assert count_verbs([operation("DELETE /a")]) == {}
