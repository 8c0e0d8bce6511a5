"""What an audit's sections say: every number counted by hand, every doubt said aloud."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eval.attacks.base import Threat
from eval.attacks.goals.tables import GOALS
from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN, Transfer
from eval.checks.flag import flag
from eval.metrics.intervals import wilson
from eval.report.audit import audit_figures, audit_section, cost_section, trust_section
from eval.report.audited import Spent
from eval.report.document import Headline, Report, Section, Table
from eval.report.goal import in_words
from eval.report.html import to_html
from eval.report.markdown import to_markdown
from tests.eval.report.audits import audited, result
from tests.eval.report.test_schema import check

NOISE, SEARCH = result("noise", "ssfwess"), result("search", "sffwscs")
CLEAR = flag("stateful", False, "as before")
TOLD = audited(NOISE, SEARCH, minimises=["search"])


def headlines(section: Section) -> dict[str, Headline]:
    return {headline.title: headline for headline in section.headlines}


def tables(section: Section) -> dict[str, Table]:
    return {table.title: table for table in section.tables}


def test_robust_stands_beside_clean_with_intervals_and_errors_apart() -> None:
    """Of seven, one has no answer, one is wrong, two fall, three stand."""
    told = headlines(audit_section(TOLD))
    expected = {
        "robust accuracy": (3, 6),
        "clean accuracy": (5, 6),
        "lost under attack": (2, 6),  # nothing that stood was wrong when clean: a share, not a difference
        "attack success rate": (2, 5),
        "successes asked again": (3, 4),
        "without answer": (1, 7),
    }
    for title, (part, whole) in expected.items():
        assert (told[title].value, told[title].support) == (part / whole, whole), title
        assert (told[title].low, told[title].high) == wilson(part, whole), title
    assert list(told)[:2] == ["robust accuracy", "clean accuracy"]


def test_figures_are_the_headlines() -> None:
    told, shown = audit_figures("audit.toy.1", TOLD), headlines(audit_section(TOLD))
    for name in ("robust_accuracy", "clean_accuracy", "attack_success_rate"):
        assert told[f"audit.toy.1.{name}"] == shown[name.replace("_", " ")].value
    assert told["audit.toy.1.noise.robust_accuracy"] == 4 / 6
    assert told["audit.toy.1.search.robust_accuracy"] == 4 / 7
    assert told["audit.toy.1.reverify_rate"] == 3 / 4
    assert told["audit.toy.1.queries"] == NOISE.queries.sum() + SEARCH.queries.sum()


def test_one_row_an_attack() -> None:
    told = tables(audit_section(TOLD))
    noise, search = told["Attacks"].rows
    assert (noise["stood"], noise["success rate"], noise["no answer"]) == (4 / 6, 1 / 5, 1)
    assert (search["fooled"], search["claimed"], search["held again"]) == (2, 3, 2 / 3)
    assert (noise["only this one"], search["only this one"]) == (0, 1)
    cost = told["Queries of the attacks"].rows[1]
    assert (cost["to fool, median"], cost["in all"]) == (6.5, int(SEARCH.queries.sum()))
    assert cost["budget spent"] == 3  # of the four that stood, one claim was not exhausted
    (row,) = told["Smallest changes"].rows
    assert (row["attack"], row["found for"], row["of"]) == ("search", 2, 6)
    assert "AML.T0043.001" in str(told["What the attacks are"].rows[0]["MITRE ATLAS"])


def test_classes_and_what_was_answered_instead() -> None:
    told = tables(audit_section(TOLD))
    rows = {row["class"]: row for row in told["Classes under attack"].rows}
    assert list(rows) == ["bee", "cat", "ape"]  # the fewest standing first: 0 of 1, 1 of 2, 2 of 3
    assert (rows["ape"]["n"], rows["ape"]["clean"], rows["ape"]["stood"]) == (3, 2 / 3, 2 / 3)
    assert rows["cat"]["answered most"] == "ape"
    assert rows["ape"]["answered most"] is None
    pairs = [(r["true"], r["answered"], r["successes"]) for r in told["What was answered instead"].rows]
    assert pairs == [("cat", "ape", 2), ("bee", "cat", 1)]


def test_slices_mark_what_is_surely_worse() -> None:
    letters = "s" * 60 + "f" * 20
    tags = [{"light": "day"}] * 60 + [{"light": "night"}] * 20
    told = tables(audit_section(audited(result("a", letters), tags=tags)))["Under attack by light"]
    night, day = told.rows
    assert (night["light"], night["stood"], night["n"], night["against all"]) == ("night", 0.0, 20, "▼ worse")
    assert (day["light"], day["against all"]) == ("day", "▲ better")


def test_what_is_not_valid_is_said_loudly() -> None:
    broken = audited(result("a", "ssfe"))
    raised, clear = flag("errors", True, "1 of 4"), flag("stateful", None, "not asked")
    trust = trust_section([raised, clear], [broken])
    assert trust.advice == [
        "NOT VALID: a (untargeted) got no answer for 1 of 4 samples, more than 0.01 of them; what failed "
        "neither stood nor fell."
    ]
    assert "1 of 2 reasons for doubt was found, 1 could not be measured" in trust.text
    section = audit_section(broken)
    assert "NOT VALID" in section.text
    page = to_html(Report("r", {}, [trust, section], valid=False))
    assert page.index("This run is not valid") < page.index("1 trust flag raised") < page.index("<h2")
    assert not trust_section([clear], [audited(result("a", "sf"))]).advice


def test_many_flags_that_are_not_raised_are_folded_below_the_others() -> None:
    clear = [replace(CLEAR, name=f"clear_{i}") for i in range(5)]
    unknown, raised = replace(CLEAR, raised=None, name="unknown"), replace(CLEAR, raised=True, name="raised")
    page = to_html(Report("r", {}, [trust_section([*clear, unknown, raised], [TOLD])]))
    order = [page.index(f"<strong>{name}") for name in ("raised", "unknown", "clear 0", "clear 4")]
    assert order == sorted(order)
    assert order[1] < page.index("<summary>5 flags not raised</summary>") < order[2]
    assert "<details>" not in to_html(Report("r", {}, [trust_section([*clear[2:], raised], [TOLD])]))


def test_advice_for_too_few_samples_and_too_small_a_budget() -> None:
    few = audit_section(audited(result("noise", "sss"), result("a", "ssf"))).advice
    assert "about" in few[0]
    assert "a had more to try on 2 pictures" in few[1]
    assert not audit_section(audited(result("a", "f" * 400))).advice


@pytest.mark.parametrize(
    ("truth", "said"),
    [([1] * 8, ["the 8 pictures are of 1 of the 3 classes (bee), as"]), ([0, 1] * 4, []), ([0], [])],
)
def test_the_first_of_sorted_data_are_told(truth: list[int], said: list[str]) -> None:
    advice = audit_section(audited(result("a", "s" * len(truth), truth=truth))).advice
    assert [line.partition(" the first of data")[0] for line in advice if "classes" in line] == said


def test_other_tasks_call_it_by_what_it_is() -> None:
    told = audited(result("a", "sfw"), task="detection")
    section = audit_section(told, extra=[Headline("mAP", 0.5, 3)], tables=[Table([], "mAP by goal")])
    assert list(headlines(section))[:3] == ["mAP", "goal not reached", "worth attacking"]
    assert "mAP by goal" in tables(section)
    assert section.text.startswith("Goal: any wrong class")
    assert "lost under attack" not in headlines(section)  # nothing is lost here that AP would not lose
    assert headlines(section)["attack success rate"].note == "of those worth attacking"
    assert "may be worse all the same" in section.text
    named = audit_section(replace(told, goal="vanish:1"))
    assert named.text.startswith("Goal: vanish:1, at least 1 of its true objects are not found; found is")
    assert named.standing is not None
    assert named.standing.goal == "vanish:1"
    assert "Classes under attack" not in tables(section)


def test_what_is_sent_to_no_target_is_not_called_right() -> None:
    told = headlines(audit_section(audited(result("a", "sfw", goal="targeted"))))
    assert "robust accuracy" not in told
    assert (told["target not reached"].value, told["target not reached"].support) == (1 / 3, 3)


def test_goals_are_told_in_words() -> None:
    for name, kind in GOALS.items():
        assert in_words(name) != name, name
        if kind.detail:
            assert "7" in in_words(f"{name}:7").partition(", ")[2], name
    assert "at least one" in in_words("vanish:any")
    assert in_words("another") == "another"


def test_white_box_attacks_do_not_only_ask() -> None:
    plain, white = TOLD.attacks
    white = Transfer("pgd", {}, told="PGD")
    kinds = [tables(audit_section(replace(TOLD, attacks=a)))["What the attacks are"].note
             for a in (TOLD.attacks, [plain, white])]  # fmt: skip
    assert kinds[0].startswith("All of them only ask")
    assert kinds[1].startswith("All but the white-box ones only ask")


def test_what_it_cost() -> None:
    section = cost_section("cost", [Spent("flags", 10, 20), Spent("search", 5, 30)], {"seed": 0})
    queries, plan = section.tables
    assert queries.rows[-1] == {"part": "all", "queries": 15, "at most": 50}
    assert plan.rows == [{"limit": "seed", "value": 0}]
    assert cost_section("c", [Spent("x", 1)], {}).tables[0].rows[-1]["at most"] is None


def test_nothing_at_all_is_undefined_not_zero() -> None:
    section = audit_section(audited(result("a", "ee")))
    assert headlines(section)["robust accuracy"].value is None
    assert tables(section)["Attacks"].rows[0]["stood"] is None


def test_equal_results_give_equal_bytes_and_every_form_is_written() -> None:
    reports = [Report("r", {}, [audit_section(audited(NOISE, SEARCH, minimises=["search"]))]) for _ in "ab"]
    assert reports[0].to_json() == reports[1].to_json()
    assert json.loads(reports[0].to_json())["sections"][0]["standing"]["samples"]["s4"] == "es"
    assert Report.from_json(reports[0].to_json()).to_json() == reports[0].to_json()
    assert "Classes under attack" in to_markdown(reports[0])
    check(json.loads(reports[0].to_json()))  # against the published schema


@pytest.mark.parametrize("name", [*ATTACKS, *ON_A_TWIN])
def test_every_attack_has_a_name_in_both_taxonomies(name: str) -> None:
    attack = ATTACKS[name] if name in ATTACKS else Transfer(name, {})
    assert any(tag.startswith("NISTAML.0") for tag in attack.tags)
    assert any(tag.startswith("AML.T00") for tag in attack.tags)


def test_threats_that_differ_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="threat"):
        audit_section(audited(NOISE, result("b", "s" * 7, threat=Threat("l2", 8))))
