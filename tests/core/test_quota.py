"""The rule of quotas."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.quota import RESOURCES, Amount, Quota, Resource, Scope, effective, exceeded, room

COUNTS = st.integers(0, 50)
QUOTAS = st.lists(
    st.sampled_from(Scope).flatmap(
        lambda scope: st.builds(Quota, st.just(scope), st.sampled_from(RESOURCES[scope]), COUNTS, COUNTS)
    ),
    unique_by=lambda one: (one.scope, one.resource),
)


def test_a_repositorys_own_quota_stands_in_the_place_of_the_one_for_each() -> None:
    each = Quota(Scope.EACH_REPOSITORY, Resource.IMAGES, 5, 5)
    own = Quota(Scope.REPOSITORY, Resource.IMAGES, 9, 5)
    whole = Quota(Scope.REGISTRY, Resource.IMAGES, 100, 99)
    assert exceeded([each, whole], Amount(images=1)) == each
    assert exceeded([each, own, whole], Amount(images=1)) is None
    assert exceeded([each, own, whole], Amount(images=2)) == whole
    assert exceeded([each], Amount(bytes=10**12)) is None


def test_what_is_over_its_quota_already_may_still_be_used_for_other_things() -> None:
    over = Quota(Scope.REPOSITORY, Resource.BYTES, 10, 20)
    assert exceeded([over], Amount(images=1)) is None
    assert exceeded([over], Amount(images=1, bytes=1)) == over
    assert room([over], Resource.BYTES) == 0
    assert room([over], Resource.IMAGES) is None


@given(QUOTAS, st.builds(Amount, COUNTS, COUNTS, COUNTS))
def test_more_is_let_in_just_when_it_fits_every_quota_that_counts(quotas: list[Quota], more: Amount) -> None:
    fits = all(one.used + more.of(one.resource) <= one.most or more.of(one.resource) == 0 for one in effective(quotas))
    assert (exceeded(quotas, more) is None) == fits


@given(QUOTAS, st.sampled_from(Resource))
def test_the_room_is_just_what_fits(quotas: list[Quota], resource: Resource) -> None:
    left = room(quotas, resource)
    if left is None:
        assert exceeded(quotas, Amount(**{resource.value: 10**9})) is None
    else:
        assert exceeded(quotas, Amount(**{resource.value: left})) is None
        found = exceeded(quotas, Amount(**{resource.value: left + 1}))
        assert found is not None
        assert found.resource is resource
