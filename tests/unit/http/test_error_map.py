import inspect

import pytest

from opdex import errors
from opdex.errors import OpdexError
from opdex.http.error_map import STATUS_OF, error_response

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, OpdexError)]


@pytest.mark.parametrize("error", CLASSES)
def test_error_class_is_in_the_table_by_name(error: type[OpdexError]) -> None:
    assert error in STATUS_OF, f"Give {error.__name__} a status in http/error_map.py."


def test_table_names_nothing_but_error_classes() -> None:
    assert set(STATUS_OF) == set(CLASSES)


def test_codes_are_unique_and_messages_say_something() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)
    assert all((error.__doc__ or "").strip() for error in CLASSES)


def test_error_response_has_the_shape_of_the_contract() -> None:
    answer = error_response(errors.SpecNotFound("No spec 'users' in catalog 'crm'.", spec="users"))
    assert answer.status_code == 404
    assert answer.body is not None
    assert answer.body.model_dump() == {
        "error": {
            "code": "spec_not_found",
            "message": "No spec 'users' in catalog 'crm'.",
            "details": {"spec": "users"},
        }
    }


def test_error_response_does_not_tell_what_lies_beneath() -> None:
    answer = error_response(errors.DatabaseUnavailable(cause="ConnectionTimeout", place="here"))
    assert answer.body is not None
    assert answer.body.error.details == {"place": "here"}


def test_error_response_tells_when_to_come_again_where_something_is_away() -> None:
    assert error_response(errors.DatabaseUnavailable()).headers["Retry-After"] == "5"
    assert error_response(errors.ProviderThrottled(retry_after=17.2)).headers["Retry-After"] == "17"


def test_error_response_names_the_scheme_where_no_key_was_sent() -> None:
    assert error_response(errors.Unauthenticated()).headers["WWW-Authenticate"] == 'Bearer realm="opdex"'
