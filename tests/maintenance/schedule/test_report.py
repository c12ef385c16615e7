"""The page of a plan shows every job, and says so where there is none."""

import json

import numpy as np

from lib.maintenance.schedule.placement import greedy, no_services
from lib.maintenance.schedule.problem import Problem
from lib.maintenance.schedule.report import schedule_report
from lib.maintenance.schedule.solve import solve
from lib.report import write_report
from tests.maintenance.schedule.weeks import simulated_week


def test_the_page_holds_the_chart_the_jobs_and_other_plans(tmp_path):
    problem = simulated_week(60, 2, demands=False).problem
    plan = solve(problem, threads=1)
    others = {"greedy": greedy(problem), "nothing": no_services(problem)}
    page, facts = write_report(schedule_report(problem, plan, others), tmp_path)
    text, report = page.read_text(), json.loads(facts.read_text())
    served = [job.machine_id for job, s in zip(problem.jobs, plan.starts, strict=True) if s >= 0]
    assert served
    assert all(name in text for name in served)
    assert "<svg" in text
    assert report["served"] == len(served)
    assert report["others"]["nothing"] - report["cost"] == np.float64(report["saved"])


def test_a_week_in_which_nobody_is_served_is_said():
    simulated = simulated_week(60, 2, demands=False)
    young = [
        job
        for job, age in zip(simulated.problem.jobs, simulated.age_hours, strict=True)
        if age < 300
    ]
    problem = Problem(young, simulated.problem.week.__class__(simulated.problem.week.start, {}))
    report = schedule_report(problem, solve(problem, threads=1), {})
    assert "No machine is serviced" in str(report.sections[0].blocks)
