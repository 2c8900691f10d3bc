"""study.json: the result of a finished study, read again."""

from pathlib import Path

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.json_text import read_utf8
from harness.types.study import StudyResult

RESULT_FILE = "study.json"


def load_study_result(folder: Path) -> StudyResult:
    """Read the result of the study in a folder.

    Raises:
        HarnessError: there is no study.json, or it is damaged or of a later version.
    """
    path = folder / RESULT_FILE
    if not path.is_file():
        raise HarnessError(f"{path}: no such file, so {folder} holds no finished study.")
    try:
        return StudyResult.model_validate_json(read_utf8(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise HarnessError(
            f"{path}: is no result of a study that this version reads: {where}: {first['msg']}."
        ) from None
