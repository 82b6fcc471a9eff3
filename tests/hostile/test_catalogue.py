"""The catalogue of hostile input: which case is shown by which test. The table is drawn into docs/hostile-input.md.

Groups: A names and routing, B tags and digests, C uploads, D mounts, E manifests, F reads and ranges, G deletes and
policy, H authentication and rights, I raw HTTP, J the ECR API, S AWS signatures. Beside the tests stand the fuzz
targets of every parser (`make fuzz`) and requests made from the OpenAPI description (`make openapi`).
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "hostile-input.md"

CATALOGUE: dict[str, tuple[str, str]] = {
    "A1": ("a path out of the API", "test_a1_a_path_that_is_none_of_the_api_is_refused"),
    "A2": ("encoded dots", "test_a2_to_a9_a_name_outside_the_grammar_is_refused_and_no_other_name_is_meant"),
    "A3": ("an encoded slash in a name", "test_a_path_is_read_from_the_right_and_a_name_is_never_decoded"),
    "A4": ("empty components", "test_a2_to_a9_a_name_outside_the_grammar_is_refused_and_no_other_name_is_meant"),
    "A5": ("names outside the grammar", "test_a_name_outside_the_grammar_is_refused"),
    "A6": ("names too long", "test_the_length_is_looked_at_before_the_grammar"),
    "A7": ("a line end after a name", "test_a2_to_a9_a_name_outside_the_grammar_is_refused_and_no_other_name_is_meant"),
    "A8": ("bytes that are no text", "test_a2_to_a9_a_name_outside_the_grammar_is_refused_and_no_other_name_is_meant"),
    "A9": ("look-alike letters", "test_a9_bytes_past_ascii_are_refused_at_the_edge"),
    "A10": ("names like the API's own words", "test_a10_a_repository_may_be_called_as_the_api_is"),
    "A11": ("an absolute target", "test_a11_an_absolute_target_is_its_path_and_never_another_host"),
    "A12": ("a Host that is none, or two", "test_a12_no_host_and_two_hosts_are_refused"),
    "A13": ("forwarded headers of strangers", "test_a13_what_an_untrusted_peer_says_of_other_hosts_changes_nothing"),
    "A14": ("headers that override", "test_a14_headers_that_would_change_what_is_asked_are_ignored"),
    "A15": ("a redirect to elsewhere", "test_a15_nothing_is_ever_a_redirect"),
    "A16": ("names that begin alike", "test_a16_names_that_begin_with_one_another_are_not_mixed"),
    "B1": ("tags outside the grammar", "test_a_tag_outside_the_grammar_is_refused"),
    "B2": ("digests that are none", "test_whatever_is_no_digest_of_ours_is_refused"),
    "B3": ("a reference that is both or neither", "test_a_reference_with_a_colon_is_a_digest_and_nothing_else"),
    "B4": ("algorithms that are not computed", "test_no_other_algorithm_is_computed"),
    "B5": ("one bad tag among good ones", "test_one_bad_tag_and_nothing_is_bound_or_kept"),
    "C1": ("a wrong, missing or double digest", "test_c1_without_the_right_digest_nothing_is_kept"),
    "C2": ("ranges that do not fit", "test_c2_a_later_chunk_begins_where_the_session_ends"),
    "C3": ("a range unlike the length", "test_c3_a_range_and_a_length_that_differ_are_refused_before_a_byte_is_kept"),
    "C4": ("a client that goes away", "test_c4_a_client_that_goes_away_commits_nothing_and_may_go_on"),
    "C5": ("a last request cut short", "test_c5_a_last_request_cut_short_commits_nothing"),
    "C6": ("a whole blob with other bytes", "test_c6_one_post_with_other_bytes_keeps_nothing"),
    "C7": ("a session after its end", "test_c7_a_finished_session_is_gone"),
    "C8": ("requests that race for one session", "test_c8_of_many_requests_that_finish_one_session_one_makes_the_blob"),
    "C9": ("a session of another repository", "test_c9_a_session_belongs_to_its_repository"),
    "C10": ("a session of another user", "test_c10_a_session_belongs_to_its_principal"),
    "C11": ("names that are no session", "test_c11_no_other_name_is_a_session"),
    "C12": ("sessions begun and left", "test_c12_sessions_without_data_are_limited_and_expire"),
    "C13": ("bytes beyond a quota", "test_c13_bytes_beyond_the_quota_are_refused_early_and_leave_nothing"),
    "C14": ("compressed bodies", "test_c14_bytes_are_taken_as_they_are_and_never_inflated"),
    "C15": ("Expect: 100-continue of a stranger", "test_c15_a_body_is_not_asked_for_from_one_who_is_not_known"),
    "C16": ("algorithms of uploads", "test_c16_only_an_algorithm_that_is_computed_may_be_asked_for"),
    "C17": ("no length; a type that renders", "test_c17_whatever_type_bytes_came_with_they_are_never_rendered"),
    "D1": ("a mount from where one may not pull", "test_a_blob_is_not_mounted_from_where_the_caller_may_not_pull"),
    "D2": ("what cannot be mounted", "test_what_cannot_be_mounted_is_uploaded"),
    "D3": ("bytes that another repository has", "test_pushing_bytes_that_another_repository_has_tells_nothing"),
    "E1": ("manifests too large, endless", "test_e1_an_endless_stream_is_refused_at_the_limit"),
    "E2": ("what is no manifest", "test_e2_e6_what_is_no_manifest_is_refused"),
    "E3": ("double keys and case twins", "test_e3_e7_e8_json_that_parsers_read_differently_is_refused"),
    "E4": ("two kinds in one document", "test_e4_a_document_of_two_kinds_is_refused"),
    "E5": ("a type unlike the document", "test_e5_a_content_type_that_does_not_fit_is_refused"),
    "E6": ("depth bombs", "test_e6_a_depth_bomb_is_refused"),
    "E7": ("sizes that are no size", "test_e7_a_size_is_a_whole_number_of_bytes"),
    "E8": ("text that is read in two ways", "test_e8_text_that_others_could_read_differently_is_refused"),
    "E9": ("parts that are missing", "test_e9_every_blob_that_is_missing_is_listed"),
    "E10": ("sizes and types that are wrong", "test_e10_a_child_that_is_described_wrongly_is_refused"),
    "E11": ("bytes of another digest", "test_e11_bytes_of_another_digest_are_refused"),
    "E12": ("thousands of parts", "test_e12_indexes_in_indexes_cost_no_more_than_their_number"),
    "E13": ("layers that lie elsewhere", "test_e9_e13_layers_that_lie_elsewhere_need_not_be_there_and_are_not_fetched"),
    "E14": ("subjects", "test_e14_a_malformed_subject_is_refused"),
    "E15": ("text of strangers", "test_text_of_strangers_in_a_list_stays_text"),
    "E16": ("schema 1", "test_e16_schema_1_is_refused_with_what_to_do"),
    "E17": ("other whitespace", "test_e17_other_whitespace_is_another_digest_and_every_byte_is_given_back"),
    "E18": ("conditions of a push", "test_e18_of_many_who_saw_the_same_one_moves_the_tag"),
    "F1": ("ranges", "test_a_range_is_inside_the_content_whatever_the_header"),
    "F2": ("two ranges in one request", "test_two_range_headers_are_refused"),
    "F3": ("damaged bytes", "test_damaged_bytes_are_never_served_as_the_blob_and_a_new_push_heals_it"),
    "F4": ("page sizes and names of pages", "test_a_page_size_that_is_no_number_is_refused"),
    "G1": ("what is still needed", "test_a_child_of_an_index_stays_until_the_index_is_gone"),
    "G2": ("a held tag that was deleted", "test_the_name_of_a_held_tag_that_was_deleted_waits_for_its_digest"),
    "G3": ("what is not there", "test_nothing_is_deleted_in_a_repository_that_is_not_there"),
    "G4": ("policies that are none", "test_what_is_not_a_policy_is_refused_by_its_place"),
    "G5": ("the last administrator", "test_the_last_administrator_and_its_last_key_stay_until_there_is_another"),
    "H1": ("no credential, or none at all", "test_whatever_is_no_credential_is_refused"),
    "H2": ("what exists, asked by strangers", "test_without_a_right_what_exists_and_what_does_not_are_told_alike"),
    "H3": ("guesses", "test_guesses_are_limited_by_name_and_the_wait_is_told"),
    "H4": ("tokens that were changed or are old", "test_a_token_that_was_changed_is_none"),
    "H5": ("a key that is gone", "test_a_key_that_is_deleted_ends_at_once_with_its_tokens"),
    "H6": ("kept answers", "test_an_answer_to_one_who_may_is_not_given_to_one_who_may_not"),
    "H7": ("floods of a principal", "test_a_principal_that_comes_too_often_waits_and_no_other_does"),
    "H8": ("floods of strangers", "test_a_stranger_that_comes_too_often_waits_and_no_principal_does"),
    "H9": ("secrets in logs", "test_the_log_is_json_with_request_ids_and_holds_no_secret"),
    "I1": ("smuggling", "test_framing_that_two_readers_may_read_differently_is_refused"),
    "I2": ("heads that are none", "test_head_is_refused"),
    "I3": ("broken chunks", "test_broken_chunks_are_refused"),
    "I4": ("a slow head", "test_slow_head"),
    "I5": ("a slow body", "test_body_below_the_least_rate"),
    "I6": ("a slow reader", "test_slow_reader"),
    "I7": ("idle connections", "test_five_thousand_idle_connections"),
    "I8": ("too many connections", "test_too_many_connections_are_told_so"),
    "I9": ("any bytes at all", "test_any_damage_to_a_request_is_answered_or_refused"),
    "J1": ("PutImage of a held tag", "test_a_refused_put_says_what_the_tag_names_and_keeps_the_manifest"),
    "J2": ("missing layers and children", "test_layers_that_are_missing_are_all_named"),
    "J3": ("parts with gaps or overlaps", "test_a_part_that_leaves_a_gap_or_overlaps_is_told_where_the_upload_ends"),
    "J4": ("uploads completed wrongly", "test_an_upload_is_completed_once"),
    "J5": ("parameters outside the model", "test_every_member_that_breaks_the_model_is_refused_by_its_name"),
    "J6": ("bodies that are none", "test_a_body_that_is_not_one_strict_object_is_a_serialization_error"),
    "J7": ("page tokens of others", "test_a_page_token_is_good_for_its_own_call_and_caller_alone"),
    "J8": ("other accounts, other failures", "test_failures_of_a_delete_are_told_one_by_one_and_the_others_proceed"),
    "S1": ("anything changed after signing", "test_every_signed_part_is_bound"),
    "S2": ("credentials in the query", "test_credentials_in_the_query_are_refused_beside_good_ones_and_alone"),
    "S3": ("payloads that are not signed", "test_only_a_signed_payload_is_accepted"),
    "S4": ("clocks", "test_the_clock_window_is_fifteen_minutes_both_ways"),
}  # fmt: skip
"""Id -> what is sent, and a test that shows what comes of it (there are mostly more)."""


@cache
def known() -> dict[str, str]:
    """Return every test by name, with the file that it stands in."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.setdefault(node.name, str(path.relative_to(ROOT)))
    return found


def page() -> str:
    """Draw the page."""
    lines = [
        "<!-- Drawn from tests/hostile/test_catalogue.py: python tests/hostile/test_catalogue.py; do not edit. -->\n",
        "# Hostile input\n",
        "What strangers, broken clients and attackers send, and a test that shows what comes of it. After each case",
        "on a shared server (all in tests/faces) a held tag still names its digest, and its blobs still hash.\n",
        "| id | what is sent | shown by |",
        "|---|---|---|",
        *(f"| {one} | {what} | `{known().get(name, '?')}::{name}` |" for one, (what, name) in CATALOGUE.items()),
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("one", CATALOGUE)
def test_each_case_is_shown_by_a_test_that_there_is(one: str) -> None:
    assert CATALOGUE[one][1] in known()


def test_no_case_is_left_out() -> None:
    for group, last in {"A": 16, "C": 17, "E": 18, "J": 8}.items():
        assert {f"{group}{number}" for number in range(1, last + 1)} <= set(CATALOGUE)
    assert {one.rstrip("0123456789") for one in CATALOGUE} == set("ABCDEFGHIJS")


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text("utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
