"""Blind studies: people compare the answers of two models without knowing which wrote them.

    study.py         what is stated beforehand: the items, drawn at random; rules; the secret
    placements.py    each annotator's order and sides, which only the secret decides
    pairs.py         what a browser may know of a pair: two texts, and no names
    ballots.py       what an annotator says, read strictly and resolved to a vote
    booth.py         one study while people vote: what comes next, what was said
    guard.py         what no request gets past: Host, Origin, size, slowness; headers of replies
    tickets.py       links, cookies and form tokens, all made of the secret
    pages.py         the HTML of every page, from templates/
    server.py        the routes
    serve.py         the server's life, from the address to Ctrl-C
    offline.py       one file that works from disk, and its votes read back
    label_studio.py  pairs for Label Studio, and its votes read back
    collected.py     votes cast elsewhere, each kept once
    summary.py       how far a study is, in a few lines
    private.py       files that only their owner may read

Votes and studies are kept by harness/votes.py.
"""
