"""People: blind comparison in the browser."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import OutputFormat, RunArgument
from harness.cli.output import Format, emit

if TYPE_CHECKING:
    from harness.human.annotate.serve import Address
    from harness.human.annotate.study import OpenStudy

commands = typer.Typer()


Annotators = Annotated[
    list[str] | None,
    typer.Option(
        envvar="HARNESS_ANNOTATOR",
        help="Who votes; name several by repeating it. Each gets a link.",
    ),
]


StudyName = Annotated[
    str, typer.Option(envvar="HARNESS_STUDY", help="The study's name, where a run has several.")
]


Pairs = Annotated[
    int | None,
    typer.Option("--n", envvar="HARNESS_N", min=1, help="How many pairs to draw; 100."),
]


DrawSeed = Annotated[
    int | None, typer.Option(envvar="HARNESS_SEED", help="What they are drawn with; 1.")
]


Attention = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_ATTENTION",
        min=0,
        help="Items with a known right answer; 5 in 100, at least 4.",
    ),
]


AttentionAtLeast = Annotated[
    float | None,
    typer.Option(
        envvar="HARNESS_ATTENTION_AT_LEAST",
        min=0.0,
        max=1.0,
        help="The share of them to answer as expected; 0.75.",
    ),
]


Repeats = Annotated[
    int | None,
    typer.Option(envvar="HARNESS_REPEATS", min=0, help="Pairs shown twice; 10 in 100."),
]


BreakEvery = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_BREAK_EVERY", min=0, help="A pause after so many pairs; 25, 0 for none."
    ),
]


MetricName = Annotated[
    str | None,
    typer.Option(envvar="HARNESS_METRIC", help="The pairwise metric whose question is asked."),
]


WithRubric = Annotated[
    bool | None,
    typer.Option(
        "--rubric", envvar="HARNESS_RUBRIC", help="Also offer scores on the suite's rubric."
    ),
]


WithReference = Annotated[
    bool | None,
    typer.Option(
        "--reference", envvar="HARNESS_REFERENCE", help="Show the reference answer to open."
    ),
]


OfflineFile = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_OFFLINE",
        metavar="FILE.html",
        help="Write a page that works from disk, for one annotator.",
    ),
]


SavedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="HARNESS_COLLECT",
        metavar="FILE",
        help="Read the votes back that such a page saved.",
    ),
]


ToLabelStudio = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_TO_LABEL_STUDIO",
        metavar="FILE",
        help="Write the pairs for it, .json or .csv.",
    ),
]


FromLabelStudio = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_FROM_LABEL_STUDIO",
        metavar="FILE",
        help="Read its export, .json or .csv.",
    ),
]


SoFar = Annotated[
    bool, typer.Option("--so-far", envvar="HARNESS_SO_FAR", help="Only say how far it is.")
]


Port = Annotated[
    int, typer.Option(envvar="HARNESS_PORT", min=0, max=65535, help="0 takes a free one.")
]


Host = Annotated[
    str | None,
    typer.Option(
        envvar="HARNESS_HOST", help="The address to listen on; this machine alone, if unstated."
    ),
]


Expose = Annotated[
    bool,
    typer.Option("--expose", envvar="HARNESS_EXPOSE", help="Let other machines in, with the link."),
]


OpenBrowser = Annotated[
    bool,
    typer.Option("--browser/--no-browser", envvar="HARNESS_BROWSER", help="Open the page."),
]


@commands.command()
def annotate(
    run: RunArgument,
    annotator: Annotators = None,
    study: StudyName = "study",
    n: Pairs = None,
    seed: DrawSeed = None,
    attention: Attention = None,
    attention_at_least: AttentionAtLeast = None,
    repeats: Repeats = None,
    break_every: BreakEvery = None,
    metric: MetricName = None,
    rubric: WithRubric = None,
    reference: WithReference = None,
    offline: OfflineFile = None,
    collect: SavedFiles = None,
    to_label_studio: ToLabelStudio = None,
    from_label_studio: FromLabelStudio = None,
    so_far: SoFar = False,
    port: Port = 0,
    host: Host = None,
    expose: Expose = False,
    browser: OpenBrowser = True,
    output: OutputFormat = Format.text,
) -> None:
    """Let people compare answers blind, on a page that is served here."""
    from harness.human.annotate.serve import bind_address
    from harness.human.annotate.study import StudyOptions, open_study, reopen_study

    names = _read_names(annotator or [])
    _check_options(
        {
            "--offline": offline,
            "--collect": collect,
            "--to-label-studio": to_label_studio,
            "--from-label-studio": from_label_studio,
            "--so-far": so_far,
        },
        names,
    )
    options = StudyOptions(
        name=study,
        n=n,
        seed=seed,
        attention=attention,
        repeats=repeats,
        attention_at_least=attention_at_least,
        break_every=break_every,
        metric=metric,
        rubric=rubric,
        show_reference=reference,
    )
    if so_far:
        _summarise(reopen_study(run, options), output)
    elif collect or from_label_studio is not None:
        opened = reopen_study(run, options)
        for path in collect or ():
            _collect(opened, path)
        if from_label_studio is not None:
            _import(opened, from_label_studio, names)
        _conclude(opened, run, output)
    elif offline is not None:
        _write_offline(open_study(run, options), offline, names[0])
    elif to_label_studio is not None:
        _export(open_study(run, options), to_label_studio, names)
    else:
        # A study that is begun cannot be changed, so what else can fail comes first.
        address = bind_address(host, port, expose=expose)
        opened = open_study(run, options)
        _serve(opened, names, address, expose=expose, browser=browser)
        _conclude(opened, run, output)


def _serve(
    opened: "OpenStudy",
    names: list[str],
    address: "Address",
    *,
    expose: bool,
    browser: bool,
) -> None:
    from harness.human.annotate.serve import make_links, open_in_browser, serve_session
    from harness.human.annotate.session import VotingSession
    from harness.human.votes import VoteLog

    with VoteLog(opened.folder) as log:
        session = VotingSession(opened, log)
        names = [session.canonical_name(name) for name in names]
        links = make_links(opened.study, address, names)
        _say_study(opened)
        _say(*(f"{name or 'Open'}: {link}" for name, link in links.items()))
        if expose:
            _say(
                "Other machines may open these links; where this machine's name is not known, put "
                "its address in. What they show travels unencrypted."
            )
        _say("Every choice is saved at once. Ctrl-C ends the server.")
        page = next(iter(links.values()))
        with open_in_browser(page, opened.folder) if browser and not expose else nullcontext():
            serve_session(session, address, names, log_error=_say)


def _write_offline(opened: "OpenStudy", path: Path, name: str) -> None:
    from harness.human.annotate.offline import write_offline

    write_offline(opened, name, path)
    _say_study(opened)
    _say(f"{path}: for {name}. Read the saved votes back with --collect.")


def _collect(opened: "OpenStudy", path: Path) -> None:
    from harness.human.annotate.offline import import_offline_votes

    votes = import_offline_votes(opened, path)
    _say(
        f"{path}: {votes.n_added} votes added, {votes.n_duplicate} known, {votes.n_outdated} out of "
        "date"
    )


def _export(opened: "OpenStudy", path: Path, names: list[str]) -> None:
    from harness.human.annotate.label_studio import write_label_studio

    config = write_label_studio(opened, path, *names)
    _say_study(opened)
    _say(f"{path}: the pairs. {config}: the labelling configuration.")


def _import(opened: "OpenStudy", path: Path, names: list[str]) -> None:
    from harness.human.annotate.label_studio import read_label_studio

    found = read_label_studio(opened, path, *names)
    votes = found.votes
    _say(
        f"{path}: {votes.n_added} votes added, {votes.n_duplicate} known, {votes.n_outdated} out of "
        f"date, "
        f"{found.n_without_choice} without a choice"
    )


def _say_study(opened: "OpenStudy") -> None:
    from harness.human.annotate.assignment import MAX_CHARS, count_model_mentions, count_shortened
    from harness.human.annotate.study import describe_study

    _say(*describe_study(opened.study))
    if named := count_model_mentions(opened.study, opened.items):
        _say(f"not blind: in {named} of the pairs an answer names one of the models")
    if cut := count_shortened(opened.study, opened.items):
        _say(
            f"not whole: in {cut} of the pairs a text is longer than {MAX_CHARS:,} characters, and "
            "is shown without its middle"
        )


def _say(*lines: str) -> None:
    from harness.core.sanitize import escape_invisible

    for line in lines:
        typer.echo(escape_invisible(line), err=True)


def _conclude(opened: "OpenStudy", run: Path, output: Format) -> None:
    """Say how far the study is, here and in the run's report."""
    from harness.artifacts.results_json import load_result
    from harness.runs.item_pages import write_run_reports

    _summarise(opened, output)
    write_run_reports(load_result(run), run)


def _summarise(opened: "OpenStudy", output: Format) -> None:
    from harness.core.sanitize import escape_invisible
    from harness.human.annotate.progress_summary import describe_votes, summarise_votes
    from harness.human.votes import load_votes

    found = summarise_votes(load_votes(opened.folder))
    value = {
        "study": str(opened.folder),
        **found._asdict(),
        "annotators": [each._asdict() for each in found.annotators],
        "win_rate": found.win_rate,
    }
    emit(output, value, map(escape_invisible, describe_votes(opened.study, found)))


# --- what is asked for -----------------------------------------------------------------------


def _check_options(instead: dict[str, object], names: list[str]) -> None:
    """What is done instead of serving is one thing, for as many annotators as it can be for."""
    from harness.core.errors import HarnessError
    from harness.human.annotate.label_studio import file_kind

    given = [option for option, value in instead.items() if value]
    if len(given) > 1:
        raise HarnessError(f"{' and '.join(given)} are done one at a time; leave one out.")
    match given:
        case ["--offline"] if len(names) != 1:
            raise HarnessError(
                "--offline: say who will vote, with one --annotator; each annotator gets a file of "
                "their own, because each sees other sides."
            )
        case ["--collect" | "--so-far" as option] if names:
            raise HarnessError(
                f"{option}: votes say themselves whose they are; leave --annotator out."
            )
        case ["--to-label-studio" | "--from-label-studio"] if len(names) > 1:
            raise HarnessError(
                "one file is one sheet: name one --annotator, or none for all of them."
            )
        case ["--to-label-studio" as option]:
            file_kind(Path(str(instead[option])))


def _read_names(annotators: list[str]) -> list[str]:
    from harness.core.errors import HarnessError
    from harness.human.annotate.vote_form import UnreadableError, read_name

    try:
        return list(dict.fromkeys(read_name(name) for name in annotators))
    except UnreadableError as error:
        raise HarnessError(f"--annotator: {error}") from None
