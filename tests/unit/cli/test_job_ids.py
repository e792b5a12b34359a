"""Prefixes of job ids."""

from __future__ import annotations

import pytest

from api.cli.job_ids import MAX_CANDIDATES, JobIdError, match_prefix

JOBS = [("abcd1", "full"), ("abcd12", "partial"), ("wxyz9", "waiting")]


@pytest.mark.parametrize(("text", "job_id"), [("wxyz", "wxyz9"), ("abcd1", "abcd1"), ("abcd12", "abcd12")])
def test_a_full_id_or_a_unique_prefix_names_a_job(text, job_id):
    assert match_prefix(text, iter(JOBS)) == job_id


def test_an_ambiguous_prefix_lists_the_candidates():
    with pytest.raises(JobIdError) as failure:
        match_prefix("abcd", JOBS)
    assert str(failure.value).splitlines() == [
        "2 jobs begin with abcd: add characters",
        "  abcd1  full",
        "  abcd12  partial",
    ]


def test_a_long_list_of_candidates_is_cut():
    jobs = [(f"abcd{number:02}", "") for number in range(MAX_CANDIDATES + 3)]
    with pytest.raises(JobIdError, match="and 3 more") as failure:
        match_prefix("abcd", jobs)
    assert len(str(failure.value).splitlines()) == MAX_CANDIDATES + 2


@pytest.mark.parametrize("text", ["wxy", "nope"])
def test_a_short_or_unknown_prefix_names_no_job(text):
    with pytest.raises(JobIdError, match="job_not_found"):
        match_prefix(text, JOBS)
