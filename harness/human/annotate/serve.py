"""The voting page as a server: links for annotators, and the application on an address."""

from collections.abc import Callable, Sequence

from harness.human.annotate.app import make_app
from harness.human.annotate.session import VotingSession
from harness.human.annotate.tokens import ANYONE, make_link_token
from harness.types import Study
from harness.web.serve import Address, serve_app


def make_links(study: Study, address: Address, annotators: Sequence[str]) -> dict[str, str]:
    """Make a link for each annotator, by name; a single open link if none is named."""
    return {
        name: f"{address.url}/enter/{make_link_token(study, name)}"
        for name in annotators or [ANYONE]
    }


def serve_session(
    session: VotingSession,
    address: Address,
    annotators: Sequence[str],
    log_error: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C or SIGTERM; requests in progress are answered first.

    If annotators are named, only they may vote.
    """
    app = make_app(
        session,
        is_own_host=address.is_own_host,
        log_error=log_error,
        allowed_names=annotators,
    )
    serve_app(app, address)
