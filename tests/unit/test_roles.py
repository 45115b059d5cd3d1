import pytest

from opdex.roles import Role, claimed_role, suffices


@pytest.mark.parametrize(
    ("role", "required", "enough"),
    [
        ("reader", "reader", True),
        ("reader", "editor", False),
        ("editor", "reader", True),
        ("editor", "admin", False),
        ("admin", "reader", True),
        ("admin", "admin", True),
    ],
)
def test_role_suffices_when_it_is_as_high(role: Role, required: Role, enough: bool) -> None:
    assert suffices(role, required) is enough


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        (["opdex:reader", "opdex:admin", "opdex:editor"], "admin"),
        ("opdex:reader opdex:editor", "editor"),
        ("a,opdex:reader,b", "reader"),
        ('["opdex:admin"]', "admin"),
        ("opdex:administrator", None),
        ("xopdex:admin", None),
        ("OPDEX:ADMIN", None),
        ("admin", None),
        ([["opdex:admin"]], None),
        ({"opdex:admin": 1}, None),
        (1, None),
        (None, None),
    ],
)
def test_highest_role_is_taken_when_a_claim_names_some(claim: object, role: Role | None) -> None:
    assert claimed_role(claim, "opdex:") == role
