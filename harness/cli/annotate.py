"""The command that collects blind human comparisons in the browser."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Expose, Host, OpenBrowser, OutputFormat, Port, RunArgument
from harness.cli.output import Format, emit, say, say_unverified

if TYPE_CHECKING:
    from harness.human.annotate.study import OpenStudy
    from harness.web.serve import Address

commands = typer.Typer()

Annotators = Annotated[
    list[str] | None,
    typer.Option(
        envvar="HARNESS_ANNOTATOR",
        help="Name of an annotator; repeat it for several. Each gets a link.",
    ),
]

StudyName = Annotated[
    str, typer.Option(envvar="HARNESS_STUDY", help="Name of the study, if the run has several.")
]

Pairs = Annotated[
    int | None,
    typer.Option("--n", envvar="HARNESS_N", min=1, help="Number of pairs to draw (default 100)."),
]

DrawSeed = Annotated[
    int | None, typer.Option(envvar="HARNESS_SEED", help="Seed of the draw (default 1).")
]

Informative = Annotated[
    bool | None,
    typer.Option(
        "--informative",
        envvar="HARNESS_INFORMATIVE",
        help="Draw pairs on which a label tells most more often, with known chances.",
    ),
]

After = Annotated[
    str | None,
    typer.Option(
        envvar="HARNESS_AFTER",
        metavar="STUDY",
        help="Draw pairs that have no label in this study of the run; both studies' labels then count together.",
    ),
]

Attention = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_ATTENTION",
        min=0,
        help="Number of attention items, whose right answer is known (default 5 %, at least 4).",
    ),
]

AttentionAtLeast = Annotated[
    float | None,
    typer.Option(
        envvar="HARNESS_ATTENTION_AT_LEAST",
        min=0.0,
        max=1.0,
        help="Share of attention items that an annotator must answer as expected (default 0.75).",
    ),
]

LeastVotes = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_LEAST_VOTES",
        min=0,
        help="Number of pairs that an annotator must vote on to count (default 10).",
    ),
]

OpenLink = Annotated[
    bool,
    typer.Option(
        "--open-link",
        envvar="HARNESS_OPEN_LINK",
        help="Make one link for everybody, who enter any name; without it each link is one person's.",
    ),
]

Repeats = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_REPEATS", min=0, help="Number of pairs shown twice (default 10 %)."
    ),
]

BreakEvery = Annotated[
    int | None,
    typer.Option(
        envvar="HARNESS_BREAK_EVERY",
        min=0,
        help="Suggest a break after this number of pairs (default 25, 0 for none).",
    ),
]

MetricName = Annotated[
    str | None,
    typer.Option(envvar="HARNESS_METRIC", help="Pairwise metric whose question is asked."),
]

WithRubric = Annotated[
    bool | None,
    typer.Option(
        "--rubric", envvar="HARNESS_RUBRIC", help="Also ask for scores on the suite's rubric."
    ),
]

WithReference = Annotated[
    bool | None,
    typer.Option(
        "--reference", envvar="HARNESS_REFERENCE", help="Offer the reference answer, folded."
    ),
]

OfflineFile = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_OFFLINE",
        metavar="FILE.html",
        help="Write an HTML page for one annotator that works without a server.",
    ),
]

SavedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="HARNESS_COLLECT",
        metavar="FILE",
        help="Import votes that an --offline page saved.",
    ),
]

ToLabelStudio = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_TO_LABEL_STUDIO",
        metavar="FILE",
        help="Export the pairs for Label Studio, as .json or .csv.",
    ),
]

FromLabelStudio = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_FROM_LABEL_STUDIO",
        metavar="FILE",
        help="Import votes from a Label Studio export, .json or .csv.",
    ),
]

SoFar = Annotated[
    bool,
    typer.Option("--so-far", envvar="HARNESS_SO_FAR", help="Only show the progress of the study."),
]


@commands.command()
def annotate(
    run: RunArgument,
    annotator: Annotators = None,
    study: StudyName = "study",
    n: Pairs = None,
    seed: DrawSeed = None,
    informative: Informative = None,
    after: After = None,
    attention: Attention = None,
    attention_at_least: AttentionAtLeast = None,
    least_votes: LeastVotes = None,
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
    open_link: OpenLink = False,
    port: Port = 0,
    host: Host = None,
    expose: Expose = False,
    browser: OpenBrowser = True,
    output: OutputFormat = Format.text,
) -> None:
    """Collect blind human comparisons of answers, on a page served from this machine."""
    from harness.core.errors import HarnessError
    from harness.human.annotate.study import StudyOptions, open_study, reopen_study
    from harness.web.serve import bind_address

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
        informative=informative,
        after=after,
        least_votes=least_votes,
    )
    if so_far:
        _summarise(reopen_study(run, options), output)
    elif collect or from_label_studio is not None:
        opened = reopen_study(run, options)
        for path in collect or ():
            _collect(opened, path)
        if from_label_studio is not None:
            _import(opened, from_label_studio, names)
        _finish(opened, run, output)
    elif offline is not None:
        _write_offline(open_study(run, options), offline, names[0])
    elif to_label_studio is not None:
        _export(open_study(run, options), to_label_studio, names)
    else:
        # A started study cannot be changed, so everything that can fail is done before.
        if open_link and names:
            raise HarnessError(
                "--open-link lets everybody enter any name, --annotator gives each person their own link: "
                "leave one out."
            )
        address = bind_address(host, port, expose=expose)
        with address.socket:
            opened = open_study(run, options)
            if not names and not open_link:
                names = [_own_name()]
                say(
                    f"One link, for {names[0]} alone. --annotator NAME, repeated, makes one for each person; "
                    "--open-link makes one under which anybody votes as anybody."
                )
            _serve(opened, names, address, expose=expose, browser=browser)
        _finish(opened, run, output)


def _serve(
    opened: "OpenStudy",
    names: list[str],
    address: "Address",
    *,
    expose: bool,
    browser: bool,
) -> None:
    from harness.human.annotate.serve import make_links, serve_session
    from harness.human.annotate.session import VotingSession
    from harness.human.votes import VoteLog
    from harness.web.serve import open_in_browser

    with VoteLog(opened.folder) as log:
        session = VotingSession(opened, log)
        names = [session.canonical_name(name) for name in names]
        links = make_links(opened.study, address, names)
        _print_study(opened)
        say(*(f"{name or 'Open'}: {link}" for name, link in links.items()))
        if expose:
            say(
                "Other machines can open these links; replace the machine's name by its address if they "
                "do not know it. The connection is not encrypted."
            )
        say("Every vote is saved immediately. Ctrl-C stops the server.")
        page = next(iter(links.values()))
        with open_in_browser(page, opened.folder) if browser and not expose else nullcontext():
            serve_session(session, address, names, log_error=say)


def _write_offline(opened: "OpenStudy", path: Path, name: str) -> None:
    from harness.human.annotate.offline import write_offline

    write_offline(opened, name, path)
    _print_study(opened)
    say(f"{path}: page for {name}. Import the saved votes with --collect.")


def _collect(opened: "OpenStudy", path: Path) -> None:
    from harness.human.annotate.offline import import_offline_votes

    votes = import_offline_votes(opened, path)
    say(
        f"{path}: {votes.n_added} votes added, {votes.n_duplicate} already known, "
        f"{votes.n_outdated} outdated"
    )


def _export(opened: "OpenStudy", path: Path, names: list[str]) -> None:
    from harness.human.annotate.label_studio import write_label_studio

    config = write_label_studio(opened, path, *names)
    _print_study(opened)
    say(f"{path}: the pairs. {config}: the labelling configuration.")


def _import(opened: "OpenStudy", path: Path, names: list[str]) -> None:
    from harness.human.annotate.label_studio import read_label_studio

    imported = read_label_studio(opened, path, *names)
    votes = imported.votes
    say(
        f"{path}: {votes.n_added} votes added, {votes.n_duplicate} already known, "
        f"{votes.n_outdated} outdated, {imported.n_without_choice} without a choice"
    )


def _print_study(opened: "OpenStudy") -> None:
    from harness.human.annotate.assignment import MAX_CHARS, count_model_mentions, count_shortened
    from harness.human.annotate.next_draw import describe_next, forecast_next
    from reports.annotation import describe_study

    say(*describe_study(opened.study))
    if opened.study.after:
        say(*describe_next(list(forecast_next(opened.folder.parent.parent, opened.study))))
    if n_unblinded := count_model_mentions(opened.study, opened.items):
        say(f"not blind: in {n_unblinded} of the pairs, an answer names one of the models")
    if n_shortened := count_shortened(opened.study, opened.items):
        say(
            f"shortened: in {n_shortened} of the pairs, a text is longer than {MAX_CHARS:,} characters "
            "and is shown without its middle"
        )


def _finish(opened: "OpenStudy", run: Path, output: Format) -> None:
    """Show the progress of the study, and update the run's report."""
    from harness.artifacts.results_json import load_result
    from harness.runs.item_pages import write_run_reports

    _summarise(opened, output)
    result = load_result(run)
    say_unverified(result, run)
    write_run_reports(result, run)


def _summarise(opened: "OpenStudy", output: Format) -> None:
    from harness.core.sanitize import escape_invisible
    from harness.human.annotate.progress_summary import summarise_votes
    from harness.human.votes import load_votes
    from reports.annotation import describe_votes

    summary = summarise_votes(load_votes(opened.folder))
    value = {
        "study": str(opened.folder),
        **summary._asdict(),
        "annotators": [annotator._asdict() for annotator in summary.annotators],
        "win_rate": summary.win_rate,
    }
    emit(output, value, map(escape_invisible, describe_votes(opened.study, summary)))


# --- options ---------------------------------------------------------------------------------


def _check_options(modes: dict[str, object], names: list[str]) -> None:
    """Refuse several modes at once, and a number of annotators that the mode does not allow."""
    from harness.core.errors import HarnessError
    from harness.human.annotate.label_studio import file_kind

    chosen = [option for option, value in modes.items() if value]
    if len(chosen) > 1:
        raise HarnessError(f"{' and '.join(chosen)} can only be used one at a time; leave one out.")
    match chosen:
        case ["--offline"] if len(names) != 1:
            raise HarnessError(
                "--offline: name exactly one annotator with --annotator; each annotator needs a "
                "separate file, because each sees the answers on other sides."
            )
        case ["--collect" | "--so-far" as option] if names:
            raise HarnessError(
                f"{option}: the votes already name their annotators; leave --annotator out."
            )
        case ["--to-label-studio" | "--from-label-studio"] if len(names) > 1:
            raise HarnessError(
                "a Label Studio file holds the pairs of one annotator: name one --annotator, or none "
                "if they all share one set of pairs."
            )
        case ["--to-label-studio" as option]:
            file_kind(Path(str(modes[option])))


def _own_name() -> str:
    """Return the name of the user of this machine, under which they vote themselves."""
    import getpass

    from harness.human.annotate.vote_form import UnreadableError, read_name

    try:
        return read_name(getpass.getuser())
    except (UnreadableError, OSError, KeyError):
        return "reader"


def _read_names(annotators: list[str]) -> list[str]:
    from harness.core.errors import HarnessError
    from harness.human.annotate.vote_form import UnreadableError, read_name

    try:
        return list(dict.fromkeys(read_name(name) for name in annotators))
    except UnreadableError as error:
        raise HarnessError(f"--annotator: {error}") from None
