"""Inference engines that answer for checkpoints: started, checked, asked and stopped by the harness.

engines.py     what each engine is: its program, version, command line, environment, request
supervisor.py  a small process that ends an engine when the harness has ended, however that was
process.py     one engine on a loopback port: started, healthy, stopped, its last words
check.py       does a server hold these weights and this chat template?
servers.py     the servers of a run: started when the first answer is missing
answers.py     what a server is asked about a sample, and its reply as a response
"""
