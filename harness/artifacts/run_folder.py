"""A run's folder for analysts: its result and its tables of scores, judgements and answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from harness.artifacts.answers import ANSWERS_FILE
from harness.artifacts.integrity import require_fitting_scores
from harness.artifacts.judgements import read_judgements
from harness.artifacts.parquet import read_parquet
from harness.artifacts.results_json import load_result, run_folder
from harness.artifacts.scores import read_scores, read_table
from harness.core.errors import HarnessError, did_you_mean
from harness.gate.decision import decide_gate
from harness.gate.equal_answers import equal_answer_reasons, withhold_pass
from harness.gate.one_model import decide_alone
from harness.scoring.columns import ScoreColumn
from harness.scoring.paired import gated_pairs
from harness.types import GateDecision, RunResult

if TYPE_CHECKING:
    import pyarrow as pa

TableName = Literal["scores", "judgements", "answers"]


def read_run_table(folder: Path, name: TableName) -> "pa.Table":
    """Read one table of the run in `folder`.

    Raises:
        HarnessError: the folder lacks it, or it is damaged.
    """
    if name not in get_args(TableName):
        raise HarnessError(
            f"a run has no table '{name}'. {did_you_mean(name, get_args(TableName))}"
        )
    match name:
        case "scores":
            return read_table(folder)
        case "judgements":
            return read_judgements(folder)
        case "answers":
            return read_parquet(folder / ANSWERS_FILE)


class Run(NamedTuple):
    """A finished run: its result, its scores by column, and its folder."""

    result: RunResult
    columns: list[ScoreColumn]
    folder: Path

    @property
    def candidate(self) -> str:
        """Return the name of the model that the run decided on."""
        return self.result.plan.candidate

    def to_pandas(self, table: TableName = "scores") -> Any:
        """Return a data frame with a row for each score, judgement or answer; needs pandas.

        Raises:
            HarnessError: the run's folder lacks that table, or it is damaged.
        """
        return read_run_table(self.folder, table).to_pandas()

    def decide(self) -> GateDecision | None:
        """Decide the gate again from the stored scores; None if the suite has no gate.

        Its rules on critical answers are included, and one text for many questions passes nothing. Its
        requirement on the judges is not, because it does not follow from the scores.

        Raises:
            HarnessError: the verdict depends on interim looks, or on people's labels.
        """
        plan = self.result.plan
        if plan.gate and plan.gate.decide_on == "corrected":
            raise HarnessError("this gate was decided with people's labels: see results.json.")
        if plan.looks:
            raise HarnessError("this gate was decided at its looks: see results.json.")
        pairs = gated_pairs(self.columns, plan)
        decision = decide_alone(decide_gate(plan.gate, pairs) if plan.gate else None, plan)
        if decision is None or plan.gate is None:
            return decision
        claimed = [claim.metric for claim in plan.gate.claims]
        reasons = equal_answer_reasons(plan, self.result.hygiene, claimed, plan.gated)
        return withhold_pass(decision, tuple(reasons))


def load_run(folder: str | Path) -> Run:
    """Read the run that `harness run` wrote into `folder`.

    Raises:
        HarnessError: a file is missing, damaged or of another version.
        InfrastructureError: a file is not the one that the run wrote, or does not fit another.
    """
    path = run_folder(Path(folder))
    result = load_result(path)
    return Run(result, read_run_scores(result, path), path)


def read_run_scores(result: RunResult, folder: Path) -> list[ScoreColumn]:
    """Read the scores of a run whose result was read, and which they fit.

    Raises:
        HarnessError: there is no such file, or it is damaged.
        InfrastructureError: the scores are not those of the result.
    """
    columns = read_scores(folder)
    require_fitting_scores(columns, result, folder)
    return columns
