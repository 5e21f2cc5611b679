"""The embedded model's pretraining documents."""

from __future__ import annotations

import pytest

from cl_bench.contract.micro import micro_domain
from cl_bench.contract.prompts import REFLECTION_PROMPT, SEED_PROMPT, instructions
from cl_bench.tools.embedded.corpus import DOMAINS, Corpus, Document, Phase, rewrite

CORPUS = Corpus(seed=99)
PROBLEMS = Phase(reflections=0.0)
CARELESS = Phase(slips=True, reflections=0.0)
REFLECTIONS = Phase(reflections=1.0)
DIGIT_DOMAINS = ("math", "code", "physics")
INDEX_WORDS = {"one", "two", "three", "four", "five", "six"}


def documents(phase: Phase, n: int = 400) -> list[Document]:
    return [CORPUS.document(index, phase) for index in range(n)]


def rules_in(text: str) -> list[str]:
    """The rules of instructions; empty for the bare seed prompt."""
    assert text.startswith(SEED_PROMPT)
    return [rule.strip() for rule in text.removeprefix(SEED_PROMPT).split(";") if rule.strip()]


def stated(document: Document) -> dict[str, str]:
    """What a problem's system prompt says of each rule."""
    return dict(rule.split(" ", 1) for rule in rules_in(document.messages[0]["content"]))


def domain_of(document: Document) -> str:
    first = document.messages[-1]["content"].split()[0]
    return "star-graph" if first == "star" else first


def quoted(document: Document) -> list[tuple[str, str]]:
    """Every (key, meaning) that a reply quotes, in order."""
    meanings = micro_domain(domain_of(document)).meanings
    pairs = []
    for segment in document.reply.replace(" ; ", " : ").split(" : "):
        words = segment.split()
        words = words[1:] if words[0] in INDEX_WORDS else words
        key, meaning = words[0], " ".join(words[1:])
        if meaning in meanings.get(key, ()):
            pairs.append((key, meaning))
    return pairs


@pytest.mark.parametrize("phase", [Phase(), Phase(simple=True), CARELESS, REFLECTIONS])
def test_a_document_depends_on_seed_and_index_alone(phase: Phase) -> None:
    again = Corpus(seed=99)
    assert [again.document(i, phase) for i in (5, 3, 5)] == [
        CORPUS.document(i, phase) for i in (5, 3, 5)
    ]
    others = [Corpus(seed=100).document(i, phase) for i in range(20)]
    assert sum(a == b for a, b in zip(documents(phase, 20), others, strict=True)) <= 1
    assert len({document.reply for document in documents(phase, 50)}) > 25


@pytest.mark.parametrize("phase", [PROBLEMS, CARELESS, Phase(simple=True, reflections=0.0)])
def test_replies_use_the_rules_that_are_stated(phase: Phase) -> None:
    checked = set()
    for document in documents(phase):
        rules = stated(document)
        for key, meaning in quoted(document):
            if key in rules:
                assert meaning == rules[key]
                checked.add(key)
    assert checked == {key for name in DOMAINS for key in micro_domain(name).meanings}


def test_a_reply_is_consistent_with_itself_about_rules_nobody_stated() -> None:
    unstated = 0
    for document in documents(PROBLEMS):
        pairs = quoted(document)
        assert len(dict(pairs)) == len(set(pairs))
        unstated += any(key not in stated(document) for key, _ in pairs)
    assert unstated > 50


def test_values_flow_from_step_to_step_and_into_the_answer() -> None:
    for phase in (PROBLEMS, CARELESS):
        for document in documents(phase):
            if domain_of(document) not in DIGIT_DOMAINS:
                continue
            steps = document.reply.split(" ; ")
            moves = [s.split(" : ")[-1].split(" -> ") for s in steps if " -> " in s]
            value = document.messages[-1]["content"].split(" : ")[-1]
            for before, after in moves:
                assert before == value
                value = after
            assert steps[-1] == f"answer {value}"


def test_slips_change_results_and_nothing_else() -> None:
    differing = 0
    for right, careless in zip(documents(PROBLEMS), documents(CARELESS), strict=True):
        assert careless.messages == right.messages
        if "facts" not in right.messages[-1]["content"]:  # a slip there changes the verdict's rule
            assert quoted(careless) == quoted(right)
        differing += careless.reply != right.reply
    assert 0.05 < differing / 400 < 0.5


def test_simple_documents_state_every_rule_and_nothing_else() -> None:
    for document in documents(Phase(simple=True, reflections=0.0), 100):
        assert set(stated(document)) == set(micro_domain(domain_of(document)).meanings)


def test_prompts_state_all_some_and_no_rules_and_rules_of_other_domains() -> None:
    shares, others = set(), 0
    for document in documents(PROBLEMS):
        own = micro_domain(domain_of(document)).meanings
        rules = stated(document)
        shares.add(len(set(rules) & set(own)) / len(own))
        others += not set(rules) <= set(own)
    assert {0.0, 0.25, 0.5, 0.75, 1.0} <= shares
    assert 0.3 < others / 400 < 0.5


def test_the_share_of_reflections_is_as_asked() -> None:
    for share in (0.0, 0.15, 1.0):
        found = sum(
            document.messages[0]["content"] == REFLECTION_PROMPT
            for document in documents(Phase(reflections=share))
        )
        assert found / 400 == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(
    ("current", "faults", "better"),
    [
        ([], ["f adds 5"], ["f adds 5"]),
        (["g doubles"], ["f adds 5"], ["g doubles", "f adds 5"]),
        (["f adds 3", "g doubles"], ["f adds 5"], ["f adds 5", "g doubles"]),
        (["f adds 5"], ["f adds 5"], ["f adds 5"]),
        (["f adds 3"], [], ["f adds 3"]),
        (["lok is 3"], ["f adds 5", "order left"], ["lok is 3", "f adds 5", "order left"]),
        ([], ["f adds 5", "f adds 5"], ["f adds 5"]),
    ],
)
def test_rewriting_replaces_a_rival_in_place_and_appends_what_is_new(
    current: list[str], faults: list[str], better: list[str]
) -> None:
    assert rewrite(current, faults) == better


def lessons(feedback: list[str]) -> list[str]:
    """The rules that verdicts teach: `… : wrong at step 2 : RULE [, not RIVAL]`."""
    return [
        line.split(" : ")[-1].split(" , not ")[0] for line in feedback if "wrong at step" in line
    ]


def test_a_reflection_makes_the_instructions_what_the_feedback_teaches() -> None:
    taught = explored = kept = 0
    for document in documents(REFLECTIONS):
        system, user = (message["content"] for message in document.messages)
        assert system == REFLECTION_PROMPT
        head, *feedback = user.removeprefix("instructions : ").split(" feedback : ")
        current = rules_in(head)
        expected = instructions(rewrite(current, lessons(feedback)))
        if lessons(feedback):
            taught += 1
            assert document.reply == expected
        elif any(line.endswith("wrong") or "answer is" in line for line in feedback):
            explored += 1
            changed = set(rules_in(document.reply)) - set(current)
            assert len(changed) <= 1
        else:
            kept += 1
            assert document.reply == expected == head
    assert min(taught, explored, kept) > 5
