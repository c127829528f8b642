"""Check: a secret is genuine or not, in one public answer and at one cost."""

import contextlib
import datetime as dt

import pytest

from keyturn.core.errors import InvalidClient
from keyturn.core.life import Life, State
from keyturn.core.requests import Located
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.exchange import credentials
from keyturn.exchange.credentials import recall_client
from unit.exchange.records import NOW, CountingDigester, client, credential, organisation, presented, view

SECOND = dt.timedelta(seconds=1)


def check_client(shown, located, dialect, digester, now):
    """Prove a client as an exchange does: by what is recalled of it, or anew."""
    known = recall_client(shown, located.view, dialect, digester, now)
    return known or credentials.check_client(shown, located, dialect, digester, now)


def check(found, secret="secret", digester=None, now=NOW, kind=CredentialKind.CLIENT_SECRET):
    """Check a secret against what was located."""
    shown = presented(secret, kind=kind)
    return check_client(shown, Located(found), "toy", digester or CountingDigester(), now)


def refused(found, **options):
    """Check a secret that must be refused, and give the refusal."""
    with pytest.raises(InvalidClient) as caught:
        check(found, **options)
    return caught.value


def test_genuine():
    """A right secret proves organisation, client and the very credential that it is."""
    held = (credential("old", "old"), credential("secret"))
    proven = check(view(*held))
    assert proven.credential == held[1]
    assert check(view(*held), secret="old").credential == held[0]
    assert (proven.organisation, proven.client) == (organisation(), client())


@pytest.mark.parametrize("secret", ["", "wrong", "secre", "secret ", "Secret", "secret\x00", "é"])
def test_wrong(secret):
    """TE-05: anything but the whole secret is wrong, and the refusal says of whom for the trail only."""
    refusal = refused(view(), secret=secret)
    assert refusal.reason is Reason.WRONG_SECRET
    assert (refusal.about.organisation_id, refusal.about.subject) == ("org-a", "client-a")
    assert refusal.description is None
    assert refusal.issues == ()


def test_unknown():
    """TE-09: an unknown client's refusal has the same public side as a wrong secret's."""
    unknown, wrong = refused(None), refused(view(), secret="wrong")
    assert unknown.reason is Reason.UNKNOWN_CLIENT
    assert unknown.about is None
    assert (unknown.code, unknown.description, unknown.issues) == (
        wrong.code,
        wrong.description,
        wrong.issues,
    )


@pytest.mark.parametrize("secret", ["secret", "wrong"])
@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (None, ["new"]),
        (view(), ["new"]),
        (view(client=client(disabled=True)), ["new"]),
        (view(organisation=organisation(disabled=True)), ["new"]),
        (view(credential("secret"), credential("other")), ["new", "new"]),
        (view(credential("other", "old"), credential("secret")), ["old", "new"]),
        (view(credential("secret", life=Life(created_at=NOW, state=State.ENDED))), ["new"]),
    ],
)
def test_constant_path(found, asked, secret):
    """TE-09: right, wrong or ended, each held secret costs one digest; an unknown client costs one too."""
    digester = CountingDigester()
    with contextlib.suppress(InvalidClient):
        check(found, secret=secret, digester=digester)
    assert digester.asked == asked


def test_client_without_secrets():
    """A client without any secret costs what an unknown one costs."""
    digester = CountingDigester()
    empty = view()
    empty = type(empty)(empty.organisation, empty.client, ())
    assert refused(empty, digester=digester).reason is Reason.WRONG_SECRET
    assert digester.asked == ["new"]


LATER = Life(created_at=NOW, expires_at=NOW + SECOND)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (view(organisation=organisation(disabled=True)), Reason.ORGANISATION_ENDED),
        (view(organisation=organisation(ended_at=NOW)), Reason.ORGANISATION_ENDED),
        (view(client=client(disabled=True)), Reason.CLIENT_DISABLED),
        (view(client=client(ended_at=NOW)), Reason.CLIENT_DISABLED),
        (view(client=client(dialects=("other",))), Reason.WRONG_DIALECT),
        (view(credential(dialects=("other",))), Reason.WRONG_DIALECT),
        (view(credential(life=Life(created_at=NOW, state=State.PENDING))), Reason.SECRET_PENDING),
        (view(credential(life=Life(created_at=NOW, disabled=True))), Reason.SECRET_DISABLED),
        (view(credential(life=Life(created_at=NOW, expires_at=NOW))), Reason.SECRET_EXPIRED),
        (view(credential(life=Life(created_at=NOW).ended(NOW, "x"))), Reason.SECRET_ENDED),
        (
            view(credential(life=Life(created_at=NOW, overlap_until=NOW, state=State.OVERLAPPING))),
            Reason.SECRET_ENDED,
        ),
    ],
)
def test_objection(found, reason):
    """TE-10: a right secret is refused while anything it rests on is not in force, for its own reason."""
    refusal = refused(found)
    assert refusal.reason is reason
    assert refusal.description is None
    assert refused(found, secret="wrong").reason is Reason.WRONG_SECRET


def test_expiry_is_a_question():
    """TK-09: expiry needs no job: the instant decides."""
    found = view(credential(life=LATER))
    assert check(found, now=NOW)
    assert refused(found, now=NOW + SECOND).reason is Reason.SECRET_EXPIRED


def test_one_of_two():
    """TE-05: of two secrets each is judged by its own life."""
    found = view(credential("secret", life=Life(created_at=NOW).ended(NOW, "x")), credential("other"))
    assert refused(found).reason is Reason.SECRET_ENDED
    assert check(found, secret="other")


def test_public_client():
    """RFC 6749 section 2.1: a public client only names itself; a confidential one may not do so."""
    public = view(client=client(public=True))
    assert check(public, secret="", kind=CredentialKind.NONE).credential is None
    assert refused(view(), secret="", kind=CredentialKind.NONE).reason is Reason.NO_CREDENTIAL
    disabled = view(client=client(public=True, disabled=True))
    assert refused(disabled, secret="", kind=CredentialKind.NONE).reason is Reason.CLIENT_DISABLED


def test_what_a_secret_proved_is_not_compared_again():
    """A secret that a connection repeats is compared once with each state of the client's records."""
    digester, found, shown = CountingDigester(), view(), presented()
    checks = [check_client(shown, Located(each), "toy", digester, NOW) for each in (found, found)]
    assert checks[0] is checks[1]
    assert len(digester.asked) == 1
    check_client(shown, Located(view()), "toy", digester, NOW)
    assert len(digester.asked) == 2
    check_client(shown, Located(found), "toy", CountingDigester(), NOW)
    check(found, digester=digester)
    assert len(digester.asked) == 3


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (view(credential("other")), Reason.WRONG_SECRET),
        (view(client=client(disabled=True)), Reason.CLIENT_DISABLED),
        (view(organisation=organisation(disabled=True)), Reason.ORGANISATION_ENDED),
        (None, Reason.UNKNOWN_CLIENT),
    ],
)
def test_what_a_secret_proved_is_for_those_records_alone(later, reason):
    """TE-10: an operator's change refuses the very secret that was proved on this connection before."""
    digester, shown = CountingDigester(), presented()
    check_client(shown, Located(view()), "toy", digester, NOW)
    with pytest.raises(InvalidClient) as caught:
        check_client(shown, Located(later), "toy", digester, NOW)
    assert caught.value.reason is reason


def test_what_a_secret_proved_ends_with_time_and_dialect():
    """TE-10: expiry is asked at each use, and what was proved for one contract is not for another."""
    found = view(credential(life=Life(created_at=NOW, expires_at=NOW + SECOND)))
    digester, shown = CountingDigester(), presented()
    check_client(shown, Located(found), "toy", digester, NOW)
    for dialect, now, reason in (
        ("toy", NOW + SECOND, Reason.SECRET_EXPIRED),
        ("other", NOW, Reason.WRONG_DIALECT),
    ):
        with pytest.raises(InvalidClient) as caught:
            check_client(shown, Located(found), dialect, digester, now)
        assert caught.value.reason is reason


def test_a_wrong_secret_costs_the_same_each_time():
    """TE-09: only what was proved is kept, so guessing on one connection tells nothing by the clock."""
    for found in (view(), None):
        digester, shown = CountingDigester(), presented("wrong")
        for _ in range(3):
            with contextlib.suppress(InvalidClient):
                check_client(shown, Located(found), "toy", digester, NOW)
        assert len(digester.asked) == 3
