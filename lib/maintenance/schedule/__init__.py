"""A week's maintenance: who is served when, at which cost, and why not otherwise."""

from lib.maintenance.schedule.baseline_plans import (
    assignment,
    fixed_interval,
    greedy,
    no_services,
    replayed,
)
from lib.maintenance.schedule.changes import Change, change
from lib.maintenance.schedule.costs import (
    NOT_THIS_WEEK,
    Parts,
    as_it_came,
    cost_of,
    cycle_cost,
    parts_of,
    start_costs,
    value_ahead,
)
from lib.maintenance.schedule.export import calendar, table
from lib.maintenance.schedule.infeasible import Shortage
from lib.maintenance.schedule.local_week import LocalWeek, local_week, shifts
from lib.maintenance.schedule.problem import SLOTS, Job, Problem, ScheduleError, Week
from lib.maintenance.schedule.report import schedule_report
from lib.maintenance.schedule.solve import InfeasibleWeekError, Plan, solve
from lib.maintenance.schedule.solver import Progress

__all__ = [
    "NOT_THIS_WEEK",
    "SLOTS",
    "Change",
    "InfeasibleWeekError",
    "Job",
    "LocalWeek",
    "Parts",
    "Plan",
    "Problem",
    "Progress",
    "ScheduleError",
    "Shortage",
    "Week",
    "as_it_came",
    "assignment",
    "calendar",
    "change",
    "cost_of",
    "cycle_cost",
    "fixed_interval",
    "greedy",
    "local_week",
    "no_services",
    "parts_of",
    "replayed",
    "schedule_report",
    "shifts",
    "solve",
    "start_costs",
    "table",
    "value_ahead",
]
