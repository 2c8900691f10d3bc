"""Blind studies: people compare the answers of two models without knowing which wrote them.

    study.py             the design: items drawn at random, rules, the secret
    interest.py          how much a label of each pair would tell
    next_draw.py         a draw after another study, and what its labels will tell
    assignment.py        each annotator's order and sides, which depend on the secret, and their texts
    vote_form.py         an annotator's form, read strictly and resolved to a vote
    session.py           the voting on one study: the next pair, votes and undos
    tokens.py            links, cookies and form tokens, signed with the secret
    pages.py             the HTML of every page, from templates/
    app.py               the routes
    serve.py             links, and the application on an address
    offline.py           a study in one HTML file, and the import of its votes
    label_studio.py      pairs for Label Studio, and the import of its votes
    import_votes.py      votes cast outside the page, added once each
    progress_summary.py  the progress of a study in a few lines

What it shares with `harness view` is in harness/web/. Studies and votes are stored by harness/human/votes.py.
"""
