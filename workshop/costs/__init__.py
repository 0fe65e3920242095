"""What waiting costs: prices as data, what a job uses in each of the designs, and a year of jobs.

    from workshop.costs.designs import Assumptions
    from workshop.costs.years import durations, year

    jobs = durations(mean=1800, count=10_000, seed=1)
    for name, outcome in year(jobs, Assumptions(interval=60)).items():
        print(name, outcome.usd, outcome.delays.mean())

prices.py has the prices and makes a bill; designs.py says what a job uses and when its end is noticed; years.py makes
jobs and adds them up; runs.py reads what one's own executions used; pictures.py draws all of it.
(Nothing is imported here: every notebook needs the prices, and few need numpy.)
"""
