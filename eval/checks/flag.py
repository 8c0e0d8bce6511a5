"""What a flag is, and all there are; docs/flags.md says the same, word for word.

After Carlini et al. 2019, "On evaluating adversarial robustness", arXiv 1902.06705, and Pintor et al. 2021,
"Indicators of attack failure", arXiv 2106.09947, in forms that need nothing but the endpoint's answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

__all__ = ["FLAGS", "Finding", "Flag", "Note", "flag", "together"]

Finding: TypeAlias = tuple[bool | None, str]  # raised, and the evidence


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason for doubt.

    Attributes:
        name: short and stable.
        raised: None where it could not be measured; the evidence then says why.
        evidence: what was measured.
        means: what a raised flag says of the numbers.
        do: what to do then.
    """

    name: str
    raised: bool | None
    evidence: str
    means: str
    do: str


class Note(NamedTuple):
    """What the document says of a flag."""

    raised_if: str
    means: str
    do: str


FLAGS: Mapping[str, Note] = MappingProxyType(
    {
        "not_deterministic": Note(
            "the same bytes, asked 5 times, get another label, or an answer over 1e-4 away",
            "One lucky answer can look like a success, and one unlucky answer like robustness.",
            "Average several answers to each picture; take the majority for the last check.",
        ),
        "batch_dependent": Note(
            "the same bytes get another answer in company than alone, and the same one otherwise",
            "What fools in one batch may not fool in another.",
            "Audit with --batch 1, or as the service is used; pin kernels that do not change with the batch.",
        ),
        "stateful": Note(
            "after many pictures like it were asked, a picture gets another answer than before",
            "The service watches for searches: the answers are not those of the model alone.",
            "Switch that defence off to audit the model; with it, spread what is asked over many clients.",
        ),
        "cached": Note(
            "repeated bytes are answered sooner than fresh ones beyond chance, or all pictures a level away "
            "everywhere get their neighbours' scores, bit for bit",
            "Some answers are those of an earlier picture, so a success may be missed or be stale.",
            "Switch the cache off for the audit.",
        ),
        "rounded_scores": Note(
            "all scores are multiples of 0.1, 0.01 ... or 0.000001",
            "A search by scores cannot see small progress: what it came to is a weak upper bound.",
            "Serve full scores for the audit; else believe the attacks by labels alone.",
        ),
        "truncated_scores": Note(
            "only the top few scores are told, only those above a threshold, or ones that do not depend on "
            "the picture",
            "A search by scores cannot see what was cut: what it came to is a weak upper bound.",
            "Serve all scores for the audit; else believe the attacks by labels alone.",
        ),
        "saturated_scores": Note(
            "over half of the answers are 1 for one class and 0 for all others, as far as float32 goes",
            "The loss is flat: a search by scores walks blindly, and what it came to is a weak upper bound.",
            "Serve logits or scaled scores for the audit; else believe the attacks by labels alone.",
        ),
        "unstable_predictions": Note(
            "in random directions of one level the loss changes by over 10 % on average, and by over half as "
            "much as in those of 8 levels",
            "The loss is too rough for a search to follow, or random.",
            "Average several answers to each picture; believe the attacks by labels alone.",
        ),
        "noise_as_good": Note(
            "noise fooled 3 or more, and no search fooled more, though some samples still stand",
            "The search did no better than chance: it failed, and robust accuracy is too high.",
            "Check epsilon and budget; try another attack.",
        ),
        "no_progress": Note(
            "of 5 or more standing samples, a search by scores left the loss of over 90 % as it was",
            "The loss is flat: the model may mask it (saturated or rounded scores), not resist.",
            "Look at the scores of one image along the search; believe the attacks by labels alone.",
        ),
        "incomplete_search": Note(
            "the strongest search by scores was still falling when it ended: over 5 % of the fall "
            "came in the last tenth of the queries, for surely more than a tenth of the standing samples",
            "With more queries more samples would fall: robust accuracy is too high.",
            "Double --budget, until this is no longer raised.",
        ),
        "decision_beats_score": Note(
            "attacks by labels alone fool more than 0.2 % of the samples more than those by scores, exact "
            "McNemar p <= 0.05",
            "The scores mislead, as masked ones do: a search by scores says little here.",
            "Believe the worst case, and give the attacks by labels alone a larger budget.",
        ),
        "black_box_beats_white_box": Note(
            "a search by scores fools more than 0.2 % of the samples more than the iterative attacks on the "
            "twin, exact McNemar p <= 0.05",
            "Gradients that lose to a blind search are masked: those of the twin say little.",
            "Do not quote the attacks on the twin alone; look for layers without a useful gradient.",
        ),
        "single_step_beats_iterative": Note(
            "one step on the twin fools more than all iterative attacks there, exact McNemar p <= 0.05",
            "An iterative attack begins with such a step, so gradients are masked or its steps are wrong.",
            "Do not quote the attacks on the twin; look for layers without a useful gradient.",
        ),
        "twin_not_proven": Note(
            "the attacked twin is not that of the served graph, or does not answer as it does",
            "A failed transfer says nothing of the served model.",
            "Use the folder of the version that is served, or call it transfer from a surrogate.",
        ),
        "not_reverified": Note(
            "a claimed success was not one when the same bytes were asked again",
            "The endpoint changes its mind; such successes count as failures of the attack.",
            "See not_deterministic and batch_dependent.",
        ),
        "silent_success": Note(
            "a picture inside the threat had a wrong class on top, and was not claimed",
            "A success was seen and lost: robust accuracy is too high.",
            "This is a mistake of the attack, not of the model: report it.",
        ),
        "errors": Note(
            "over 1 % of the samples got no answer",
            "The run is invalid: what failed is neither robust nor fooled.",
            "Lower --in-flight or --batch, look at the service's log, and run again.",
        ),
        "partial": Note(
            "the audit ended before every attack had asked about every sample",
            "Fewer attacks than planned were tried on some samples: robust accuracy is too high.",
            "Let it go on with --resume.",
        ),
        "curve_not_monotone": Note(
            "samples that fall within one epsilon stand within the next larger one, more than the other way "
            "round, exact McNemar p <= 0.05 over all steps",
            "More room can only help an attack, so the search is broken or the model masks it.",
            "Raise the budget of the curve; believe the worst case over all epsilons.",
        ),
        "chance_not_reached": Note(
            "within 128 levels, where every picture can be made grey, surely more stand than the best "
            "constant answer gets right",
            "The attack fails where it cannot: the budget is far too small, or the model masks it.",
            "Raise the budget of the curve; check what the endpoint does with the picture.",
        ),
        "control_not_separated": Note(
            "of the fragile control not surely less stands after the same suite than of the robust one",
            "These attacks cannot tell a fragile model from a robust one.",
            "Raise the budget, or repair the attacks, before any number is believed.",
        ),
    }
)


def flag(name: str, raised: bool | None, evidence: str) -> Flag:
    """The flag of this name in `FLAGS`."""
    note = FLAGS[name]
    return Flag(name, raised, evidence, note.means, note.do)


def together(name: str, found: Iterable[Finding], nothing: str) -> Flag:
    """Of several findings: raised if one is, with the evidence of those that decide it.

    Args:
        nothing: why it could not be measured, where there are no findings.
    """
    findings = list(found)
    raised = next((state for state in (True, False) if any(r is state for r, _ in findings)), None)
    evidence = "; ".join(dict.fromkeys(told for state, told in findings if state is raised))
    return flag(name, raised, evidence or nothing)
