"""Files of MT-Bench and Arena-Hard: questions, answers, ratings and judgements of pairs.

    question.jsonl          {"question_id": 81, "turns": ["…", "…"], "reference": ["…", "…"]}
                            {"uid": "0493…", "category": "hard_prompt", "prompt": "…"}
    model_answer/*.jsonl    {"question_id": 81, "model_id": "gpt-4", "choices": [{"turns": ["…", "…"]}]}
                            {"uid": "0493…", "model": "o1", "messages": [{…}, {"content": {"answer": "…"}}]}
    gpt-4_single.jsonl      {"question_id": 81, "model": "gpt-4", "judge": ["gpt-4", "single-v1"],
                             "user_prompt": "…", "judgment": "… [[9]]", "score": 9, "turn": 1}
    gpt-4_pair.jsonl        {"question_id": 81, "model_1": "a", "model_2": "b", "g1_winner": "model_1",
                             "g2_winner": "tie", "judge": […], "turn": 1}
    Arena-Hard judgements   {"question_id": "328c…", "model": "a", "judge": "gpt-4", "games": [
                             {"user_prompt": "…", "judgment": "…", "score": "A>B"}, {…}]}

Each turn is an item, in the cluster of its question, so that the mean rating is MT-Bench's score. In
the first game of a pair model_1, or Arena-Hard's baseline, stands first, in the second game the
other one. A rating of -1 and the winner "error" are verdicts that MT-Bench could not read. Questions
and answers are those of their files, or else those that the judge's prompt quotes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.core.sanitize import printable_line
from harness.interop.importing.judge_prompts import quoted_texts
from harness.interop.importing.records import (
    UNKNOWN_BASELINE,
    Object,
    RecordedItem,
    RecordedPreference,
    RecordedScores,
    Records,
    Winner,
    as_key,
    as_list,
    as_number,
    as_object,
    as_rows,
    as_text,
    content_text,
    have_all,
    user_text,
)
from harness.types import ORDERS, Order

LOWEST, HIGHEST = 1, 10  # of a rating
API_ERROR = "$ERROR$"  # in the place of an answer (FastChat and Arena-Hard, API_ERROR_OUTPUT)

STRONG_WEIGHT = 3  # of A>>B in Arena-Hard's own score (show_result.py, weight=3)
STRENGTH = "strength"  # the score that counts it so


def is_questions(rows: Sequence[Object]) -> bool:
    """Return whether these are questions of a benchmark."""
    return have_all(rows, "question_id", "turns") or have_all(rows, "uid", "prompt")


def is_answers(rows: Sequence[Object]) -> bool:
    """Return whether these are a model's answers to a benchmark."""
    return have_all(rows, "question_id", "choices") or have_all(rows, "uid", "model", "messages")


def is_ratings(rows: Sequence[Object]) -> bool:
    """Return whether these are MT-Bench's ratings of single answers."""
    return have_all(rows, "question_id", "model", "judgment", "score")


def is_pairs(rows: Sequence[Object]) -> bool:
    """Return whether these are judgements of pairs."""
    return have_all(rows, "model_1", "model_2", "g1_winner") or have_all(rows, "model", "games")


# --- questions and answers -------------------------------------------------------------------


def read_questions(rows: Sequence[Object], source: str) -> Records:
    """Read the questions, an item for each turn."""
    records = Records(source, texts_only=True)
    for row in rows:
        question, turns = _question_id(row), _turns(row.get("turns"))
        if not turns and as_text(row.get("prompt")):
            turns = [row["prompt"]]
        if question is None or not turns or not all(turn.strip() for turn in turns):
            records.left_out["no question"] += 1
            continue
        references = _turns(row.get("reference"))
        for number in range(1, len(turns) + 1):
            reference = references[number - 1] if number <= len(references) else ""
            key = _item_key(question, number)
            records.items[key] = _item(question, turns[:number], reference or None)
    return records


def read_answers(rows: Sequence[Object], source: str) -> Records:
    """Read the answers of models, one for each turn."""
    records = Records(source, texts_only=True)
    for row in rows:
        question = _question_id(row)
        model = as_text(row.get("model_id")) or as_text(row.get("model"))
        if question is None or not model:
            records.left_out["no question or no model"] += 1
            continue
        messages = as_rows(row.get("messages"))
        choice = next(iter(as_rows(row.get("choices"))), {})
        turns = _turns(choice.get("turns")) or [
            _content(m.get("content")) for m in messages if m.get("role") == "assistant"
        ]
        if not turns:
            records.left_out["no answer"] += 1
        for number, text in enumerate(turns, start=1):
            _add_answer(model, _item_key(question, number), text, records)
    failures = sum(map(len, records.failures.values()))
    records.left_out["ended in an error: no answer and no score"] += failures
    return records


def _add_answer(model: str, key: str, text: str, records: Records) -> None:
    """Add an answer; what stands in its place where the model's endpoint failed is none."""
    if text == API_ERROR:
        records.fail(model, key, "ended in an error")
    else:
        records.answers.setdefault(model, {}).setdefault(key, text)


def _question_id(row: Object) -> str | None:
    return as_key(row.get("question_id")) or as_key(row.get("uid"))


def _turns(turns: object) -> list[str]:
    return [_content(as_object(turn).get("content") or turn) for turn in as_list(turns)]


def _content(content: object) -> str:
    """Return the text of an answer, which Arena-Hard 2 keeps under 'answer'."""
    return as_text(as_object(content).get("answer")) or content_text(content)


def _item_key(question: str, turn: int) -> str:
    return question if turn == 1 else f"{question}-turn{turn}"


def _item(question: str, turns: Sequence[str], reference: str | None = None) -> RecordedItem:
    cluster = None if len(turns) == 1 else question
    text = "\n\n".join(turns)
    return RecordedItem(text, reference, text, cluster)


# --- ratings ---------------------------------------------------------------------------------


def read_ratings(rows: Sequence[Object], source: str) -> list[Records]:
    """Read ratings of single answers; return them, and the texts that their prompts quote."""
    records, quoted = Records(source), Records(source, quoted=True)
    for row in rows:
        question, model = _question_id(row), as_text(row.get("model"))
        turn = _turn(row)
        if question is None or not model:
            records.left_out["no question or no model"] += 1
            continue
        key, name = _item_key(question, turn), f"rating_by_{_judge(row)}"
        records.scales[name] = (LOWEST, HIGHEST)
        records.judges.setdefault(_judge(row))
        scores = records.scores.setdefault(model, {})
        before = scores.get(key, RecordedScores({}))
        if name in before.values:
            records.left_out["a further rating of the same answer"] += 1
            continue
        rating = as_number(row.get("score"))
        words = "\n".join(filter(None, [before.rationale, as_text(row.get("judgment"))])) or None
        if rating is None or not LOWEST <= rating <= HIGHEST:
            records.left_out["no rating from 1 to 10 was read: unscored"] += 1
            reason = f"no rating from {LOWEST} to {HIGHEST} was read"
            scores[key] = RecordedScores(before.values, words, reason)
        else:
            scores[key] = RecordedScores({**before.values, name: rating}, words, before.reason)
        _quote(row.get("user_prompt"), question, turn, {"A": model}, quoted)
    return [records, quoted]


def _turn(row: Object) -> int:
    turn = as_number(row.get("turn"))
    return int(turn) if turn is not None and turn >= 1 else 1


def _judge(row: Object) -> str:
    """Return the judge's model; MT-Bench names its prompt too, which differs from item to item."""
    judge = row.get("judge")
    name = next(iter(as_list(judge)), None) if isinstance(judge, list) else judge
    return as_text(name) or "judge"


def _quote(
    prompt: object, question: str, turn: int, models: dict[str, str], quoted: Records
) -> None:
    """Keep the question and the answers that a judge's prompt quotes."""
    text = prompt if isinstance(prompt, str) else user_text(as_rows(prompt))
    texts = quoted_texts(text)
    if texts is None or len(texts.turns) != turn or not all(t.strip() for t in texts.turns):
        return
    key = _item_key(question, turn)
    quoted.items.setdefault(key, _item(question, texts.turns))
    for place, model in models.items():
        if place in texts.answers and key not in quoted.answers.get(model, {}):
            _add_answer(model, key, texts.answers[place], quoted)


# --- pairs -----------------------------------------------------------------------------------


class _Game(NamedTuple):
    """One judgement of a pair: who stood first, who won, and the judge's words and prompt."""

    first: str
    second: str
    winner: str | None  # "A", "B" or "tie"
    words: str | None
    prompt: object
    strong: bool = False


class _Judged(NamedTuple):
    """The judgements of one pair on one item, in the order that the file names its models."""

    question: str
    turn: int
    models: tuple[str, str]
    judge: str
    games: list[_Game]


def read_pairs(rows: Sequence[Object], source: str) -> list[Records]:
    """Read judgements of pairs; return them, and the texts that their prompts quote.

    The baseline is Arena-Hard's, or the model that most pairs share; of a single pair MT-Bench's
    model_2, where its mode `pairwise-baseline` has the baseline.
    """
    records, quoted = Records(source), Records(source, quoted=True)
    read = [_read_pair(row) for row in rows]
    records.left_out["no question, no models or no verdict"] = read.count(None)
    judged = [pair for pair in read if pair is not None]
    baseline, judge = _most_common_baseline(judged), next((pair.judge for pair in judged), "")
    used: list[_Judged] = []
    for pair in judged:
        if baseline not in pair.models or pair.models[0] == pair.models[1]:
            records.left_out[f"not a comparison with '{printable_line(str(baseline))}'"] += 1
        elif pair.judge != judge:
            records.left_out[f"a verdict of another judge than '{printable_line(judge)}'"] += 1
        else:
            used.append(pair)
            _add_games(pair, str(baseline), records, quoted)
    if any(game.strong for pair in used for game in pair.games):
        _add_strengths(used, str(baseline), records)
    return [records, quoted]


def _add_strengths(judged: Sequence[_Judged], baseline: str, records: Records) -> None:
    """Add a score that counts a strong verdict threefold, and name the win rate that follows from it.

    Over all games of weight w (3 for A>>B, otherwise 1) Arena-Hard's win rate is the mean of 1, 0.5
    and 0, weighted by w. It is above one half where the mean of `strength` is above 0: an item's
    strength is the mean over its games of w for a win, -w for a loss and 0 for a tie.
    """
    records.scales[STRENGTH] = (-STRONG_WEIGHT, STRONG_WEIGHT)
    weighted: dict[str, list[tuple[float, float]]] = {}
    for pair in judged:
        candidate = next(name for name in pair.models if name != baseline)
        key, signed = _item_key(pair.question, pair.turn), list[float]()
        scores = records.scores.setdefault(candidate, {})
        if key in scores:  # a further judgement of the same pair
            continue
        for game in pair.games:
            winner, weight = _winner(game, baseline), STRONG_WEIGHT if game.strong else 1
            if winner is not None:
                sign = {"candidate": 1, "baseline": -1, "tie": 0}[winner]
                signed.append(sign * weight)
                weighted.setdefault(candidate, []).append(((1 + sign) / 2, weight))
        scores[key] = (
            RecordedScores({STRENGTH: sum(signed) / len(signed)})
            if len(signed) == len(ORDERS)
            else RecordedScores({}, None, "no winner was read")
        )
        records.scores.setdefault(baseline, {})[key] = RecordedScores({STRENGTH: 0.0})
    rates = "; ".join(
        f"{printable_line(model)} {sum(o * w for o, w in games) / sum(w for _, w in games):.1%}"
        for model, games in weighted.items()
    )
    records.notes.append(
        f"Arena-Hard's 'significantly better' (A>>B) is a win like A>B in 'win_rate'. Its own score "
        f"counts it {STRONG_WEIGHT} times, as '{STRENGTH}' does, which is above 0 for the better model: {rates} "
        "by that rule."
    )


def _most_common_baseline(judged: Sequence[_Judged]) -> str | None:
    """Return the model in most pairs; of equals the second of a pair, where the baseline is."""
    counts = Counter(name for pair in judged for name in dict.fromkeys(pair.models))
    last = {pair.models[1]: None for pair in judged}
    ranked = sorted(counts, key=lambda name: (counts[name], name in last), reverse=True)
    return ranked[0] if ranked else None


def _read_pair(row: Object) -> _Judged | None:
    question = _question_id(row)
    if "games" in row:
        model = as_text(row.get("model"))
        baseline = as_text(row.get("baseline")) or UNKNOWN_BASELINE
        names = (model, baseline)
        games = list(_arena_games(row, baseline, model or ""))
    else:
        first, second = as_text(row.get("model_1")), as_text(row.get("model_2"))
        names = (first, second or "")
        games = list(_mt_bench_games(row, first or "", second or ""))
    if question is None or not names[0] or not names[1] or not games:
        return None
    return _Judged(question, _turn(row), (names[0], names[1]), _judge(row), games)


def _arena_games(row: Object, baseline: str, model: str) -> Iterator[_Game]:
    sides = [(baseline, model), (model, baseline)]
    for (first, second), game in zip(sides, as_list(row.get("games")), strict=False):
        if isinstance(game, dict):
            words = _content(game.get("judgment")) or None
            prompt = game.get("user_prompt") or game.get("prompt")
            score = game.get("score")
            strong = isinstance(score, str) and (">>" in score or "<<" in score)
            yield _Game(first, second, _arena_winner(score), words, prompt, strong)


def _arena_winner(score: object) -> str | None:
    """Return who won: `A>B`, `A>>B` and `B<A` are A, `A=B` is a tie."""
    text = score.replace(" ", "") if isinstance(score, str) else ""
    left, sign, right = text[:1], text[1:-1], text[-1:]
    if {left, right} != {"A", "B"} or sign not in {">", ">>", "=", "<", "<<"}:
        return None
    return "tie" if sign == "=" else left if sign[0] == ">" else right


def _mt_bench_games(row: Object, first: str, second: str) -> Iterator[_Game]:
    places = {"model_1": "A", "model_2": "B", "tie": "tie"}
    swapped = {"model_1": "B", "model_2": "A", "tie": "tie"}
    games = (("g1", first, second, places), ("g2", second, first, swapped))
    for game, a, b, winners in games:
        if f"{game}_winner" in row:
            winner = winners.get(str(row[f"{game}_winner"]))
            words, prompt = row.get(f"{game}_judgment"), row.get(f"{game}_user_prompt")
            yield _Game(a, b, winner, as_text(words), prompt)


def _add_games(pair: _Judged, baseline: str, records: Records, quoted: Records) -> None:
    candidate = next(name for name in pair.models if name != baseline)
    records.judges.setdefault(pair.judge)
    key = _item_key(pair.question, pair.turn)
    judged = records.preferences.setdefault((baseline, candidate), {}).setdefault(key, {})
    for game in pair.games:
        order: Order = ORDERS[0] if game.first == baseline else ORDERS[1]
        if order in judged:
            records.left_out["a further verdict on the same pair in the same order"] += 1
            continue
        winner = _winner(game, baseline)
        if winner is None:
            records.left_out["no winner was read: unscored"] += 1
        reason = None if winner else "no winner was read"
        judged[order] = RecordedPreference(winner, game.words, reason)
        places = {"A": game.first, "B": game.second}
        _quote(game.prompt, pair.question, pair.turn, places, quoted)


def _winner(game: _Game, baseline: str) -> Winner | None:
    match game.winner:
        case "A" | "B":
            name = game.first if game.winner == "A" else game.second
            return "baseline" if name == baseline else "candidate"
        case "tie":
            return "tie"
        case _:
            return None
