"""Supervised fine-tuning: a LoRA adapter learns the completions and the end of the turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.data.split import hold_out
from harness.models.model_folder import verified_fingerprint
from harness.models.stops import end_of_turn, end_of_turn_text, set_stops
from harness.types.training import Example
from trainers.adapter import check_vocabulary, load_base, new_adapter, refuse_adapter
from trainers.assistant_turns import (
    MarkedTemplate,
    chat_of,
    count_turns,
    find_marks,
    tokenise_turns,
)
from trainers.chat_template import set_chat_template
from trainers.chat_tokens import (
    AnswerTokens,
    ChatFacts,
    fits,
    keeps_end,
    question_of,
    refuse_dropped_system,
    tokenise_answer,
)
from trainers.checkpoint import CheckpointManifest, Origin
from trainers.distributed.config import Launch
from trainers.examples import data_hash
from trainers.method import ProgressCallback, RunSettings
from trainers.recipe import SftRecipe
from trainers.starting_model import StartingPoint
from trainers.training import N_PROBES, train_adapter
from trainers.trl_config import Log, held_out_metrics


def train_sft(
    recipe: SftRecipe,
    parent: str | Path,
    out: Path,
    *,
    rows: Sequence[Example],
    progress: ProgressCallback,
    launch: Launch | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 - an immutable tuple
) -> CheckpointManifest:
    """Train `parent` on the rows' completions, and write a merged checkpoint in `out`.

    The recipe's share of questions is held out for evaluation. With `launch` the training runs in
    several processes.

    Raises:
        HarnessError: options that TRL refuses, unsuitable rows, or a run that learnt nothing.
    """
    refuse_adapter(parent)
    revision = recipe.parent.revision
    fingerprint = verified_fingerprint(parent, revision=revision)
    origin = Origin(source=str(parent), revision=revision, fingerprint=fingerprint)
    usable = rows
    if recipe.all_turns:
        usable = [row for row in rows if not row.unlearnt_turns]
        if len(usable) < len(rows):
            dropped = {"dropped, an earlier turn of weight 0": str(len(rows) - len(usable))}
            settings = settings._replace(facts=dict(settings.facts) | dropped)
    split = split_rows(usable, recipe.holdout, recipe.seed)
    return train_adapter(
        recipe,
        Sft(recipe, parent, split.train, split.eval),
        out,
        start=StartingPoint(origin, origin),
        data_hash=data_hash(rows),
        progress=progress,
        launch=launch,
        settings=settings,
    )


@dataclass(frozen=True)
class Sft:
    """Supervised fine-tuning on the completions of `rows`; a `Method`."""

    recipe: SftRecipe
    parent: str | Path
    rows: Sequence[Example]
    eval_rows: Sequence[Example] = ()

    def config_type(self) -> Any:
        from trl import SFTConfig

        return SFTConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer with a new adapter on the parent."""
        from datasets import Dataset
        from trl import SFTTrainer

        recipe = self.recipe
        if not self.rows:
            raise HarnessError(
                f"{recipe.recipe}: there are no rows to learn from. Where they are the best of several "
                "answers, see their statistics for why all prompts were dropped."
            )
        # Load the parent.
        model, tokenizer = load_base(
            self.parent, revision=recipe.parent.revision, quantisation=recipe.quantisation
        )
        set_chat_template(tokenizer, recipe.chat_template, self.parent, thinking=recipe.thinking)
        n_embeddings = model.get_input_embeddings().weight.shape[0]
        check_vocabulary(model, tokenizer, self.parent)
        set_stops(model, tokenizer)
        rows = (*self.rows, *self.eval_rows)
        refuse_dropped_system(tokenizer, [row.prompt for row in rows])
        # Make the trainer, which may not resize the parent's embeddings.
        marks = find_marks(tokenizer, self.parent) if config.assistant_only_loss else None
        columns = _columns if marks is None else _chat_columns
        eval_columns = [
            columns(row) for row in self.eval_rows if fits(_tokenise(tokenizer, row, marks), config)
        ]
        assert recipe.new_adapter is not None  # which the recipe's validation requires
        start = new_adapter(recipe.new_adapter, model, tokenizer)
        trainer = SFTTrainer(
            model=start.model,
            args=config,
            train_dataset=Dataset.from_list([columns(row) for row in self.rows]),
            eval_dataset=Dataset.from_list(eval_columns) if eval_columns else None,
            processing_class=tokenizer,
            peft_config=start.peft_config,
        )
        if trainer.model.get_input_embeddings().weight.shape[0] != n_embeddings:
            raise HarnessError(
                f"{recipe.recipe}: trainer.chat_template_path adds tokens to the model, and an adapter "
                "on more embeddings than its base has cannot be loaded again. Resize the base, save "
                "it, and train on that."
            )
        return trainer

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the counts of rows, and of those that were truncated or dropped."""
        tokenizer, held_out = trainer.processing_class, self.eval_rows
        facts = check_rows(trainer.train_dataset, self.rows, tokenizer, trainer.args)
        if not self.recipe.holdout:
            return facts
        n_kept = 0 if trainer.eval_dataset is None else len(trainer.eval_dataset)
        facts["held-out rows"] = str(n_kept)
        if n_kept < len(held_out):
            facts["held-out rows dropped"] = str(len(held_out) - n_kept)
        return facts

    def check_first_step(self, log: Log, config: Any) -> None:
        """Accept any first loss."""

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return the loss on the held-out rows, if there are any."""
        return held_out_metrics(trainer, ["eval_loss"])

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        return [list(ids) for ids in trainer.train_dataset["input_ids"][:N_PROBES]]


class SplitRows(NamedTuple):
    """Rows to train on, and rows that are held out for evaluation."""

    train: Sequence[Example]
    eval: Sequence[Example]


def split_rows(rows: Sequence[Example], holdout: float, seed: int) -> SplitRows:
    """Hold out a share of the questions, at least one; near-duplicates of one another stay together."""
    if not holdout:
        return SplitRows(rows, [])
    sides = hold_out([question_of(row.prompt) for row in rows], share=holdout, seed=seed)
    train = [row for row, side in zip(rows, sides, strict=True) if side == "train"]
    return SplitRows(train, [row for row, side in zip(rows, sides, strict=True) if side == "eval"])


def _columns(row: Example) -> dict[str, list[dict[str, str]]]:
    """Return a row as chats, not rendered text, so that the template writes exactly one BOS."""
    return {
        "prompt": [message.model_dump() for message in row.prompt],
        "completion": [{"role": "assistant", "content": row.completion}],
    }


def _chat_columns(row: Example) -> dict[str, list[dict[str, str]]]:
    """Return a row as one chat, all of whose assistant turns are learnt."""
    return {"messages": chat_of(row)}


def _tokenise(tokenizer: Any, row: Example, marks: MarkedTemplate | None) -> AnswerTokens:
    if marks is not None:
        return tokenise_turns(tokenizer, row, marks)
    return tokenise_answer(tokenizer, row.prompt, row.completion)


def check_rows(
    tokenised: Any, rows: Sequence[Example], tokenizer: Any, config: Any
) -> dict[str, str]:
    """Count the rows that TRL truncated or dropped, and check the tokens that are trained on.

    Raises:
        HarnessError: no row is left, a chat begins with two BOS tokens, or the loss covers too few
            ends of turn, so that the model would not learn to stop.
    """
    # TRL drops a row whose prompt alone reaches `max_length`, and truncates the other long ones.
    marks = find_marks(tokenizer, "the parent") if config.assistant_only_loss else None
    chats = [_tokenise(tokenizer, row, marks) for row in rows]
    kept = [chat for chat in chats if fits(chat, config)]
    limit = config.max_length or max(len(chat.ids) for chat in chats)
    truncated = sum(len(chat.ids) > limit for chat in kept)
    if not kept:
        raise HarnessError(f"No row fits into max_length {limit}. Raise trainer.max_length.")
    # Each chat has one BOS, and each complete answer an end of turn among its labels.
    bos = tokenizer.bos_token_id
    if bos is not None and any(list(ids[:2]) == [bos, bos] for ids in tokenised["input_ids"]):
        raise HarnessError("The chats begin with two BOS tokens; the chat template must write one.")
    stop = end_of_turn(tokenizer)
    stops = sum(labels.count(stop) for labels in tokenised["labels"])
    turns = [1 if marks is None else count_turns(row) for row in rows]
    # What is cut off loses its end of turn, where the end is cut.
    complete = sum(
        n
        for n, chat in zip(turns, chats, strict=True)
        if fits(chat, config) and (keeps_end(config) or len(chat.ids) <= limit)
    )
    if marks is not None and keeps_end(config):
        complete -= sum(
            n - 1 for n, chat in zip(turns, chats, strict=True) if len(chat.ids) > limit
        )
    if stops < complete:
        raise HarnessError(
            f"Only {stops} of {complete} answers end with a learnt {end_of_turn_text(tokenizer)}, so the "
            "model would not learn to stop. The chat template must write an end of turn after an answer; "
            "trainer.eos_token names the token."
        )
    counts = {"rows": len(rows), "truncated": truncated, "dropped": len(rows) - len(kept)}
    facts = {name: str(n) for name, n in counts.items()}
    if marks is not None:
        facts["learnt"] = f"all {sum(turns)} turns of the assistant, by the marks {marks.fact}"
        asked = [tokenise_answer(tokenizer, row.prompt, row.completion) for row in rows]
        if other := sum(a.ids != b.ids for a, b in zip(asked, chats, strict=True)):
            facts["chats written otherwise for training"] = f"{other} of {len(rows)}"
        chats = asked
    seen = ChatFacts(tokenizer)
    for row, chat in zip(rows, chats, strict=True):
        seen.add(chat, row.prompt, row.completion)
    return facts | seen.describe()
