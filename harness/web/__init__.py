"""What pages that are served from this machine share: `harness annotate` and `harness view`.

request_guard.py   checks of Host, Origin, size and time of requests; headers of replies
replies.py         replies in HTML
serve.py           the server, from its address to Ctrl-C
"""
