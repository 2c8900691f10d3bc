"""A comparative study: a grid of recipes is trained, judged under one suite and ranked.

grid        the arms of a study file, and what each run of them is asked for
trainings   the checkpoints of the arms, made where they are missing
statement   what was stated before the first training
run         looks at the arms, from trainings to the ranking
costs       what each arm took, as its checkpoints recorded it
plan        the same work, told beforehand
"""
