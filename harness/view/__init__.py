"""`harness view`: the runs of an output folder as pages in a browser, served from this machine.

    workspace.py      the runs, each read once until its file changes
    trends.py         every claim over the runs of a suite, and where its measurement changed
    side_by_side.py   two to eight runs: their claims, and how their plans differ
    run_files.py      which files of a run are served, and what they may do in a browser
    tokens.py         the link, the cookie and the addresses of files, from one secret
    rows.py           what tables and charts hold, formatted
    pages.py          the HTML of every page, from templates/
    app.py            the routes
    serve.py          the check of the folder, the link and the server

The pages show what results have decided. Runs under way are stated by harness/artifacts/running.py.
"""
