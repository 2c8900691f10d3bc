import asyncio

import pytest

from harness.core.errors import HarnessError, InfrastructureError
from harness.models.endpoint import Budget, BudgetSpentError
from tests.builders.asking import make_asks, make_endpoint
from tests.loopback.faults import always
from tests.loopback.server import LoopbackServer

PRICES = {"input": 1000.0, "output": 10_000.0, "currency": "USD"}  # a token of output: one cent


def test_spend_is_what_the_endpoint_reports() -> None:
    with LoopbackServer(lambda _: "three small words") as server:
        endpoint = make_endpoint(server, price_per_million=PRICES)
        list(endpoint.ask_all(make_asks(10)))
    assert endpoint.spend == (10, 20, 30, pytest.approx(0.02 + 0.3), "USD")


def test_without_prices_the_cost_is_unknown() -> None:
    with LoopbackServer() as server:
        endpoint = make_endpoint(server)
        list(endpoint.ask_all(make_asks(2)))
    assert endpoint.spend == (2, 4, 2, None, None)


def test_a_budget_is_never_passed_and_nearly_used_up() -> None:
    with LoopbackServer(latency_s=0.02) as server:
        budget = Budget(2.0)
        endpoint = make_endpoint(server, budget=budget, max_tokens=20, price_per_million=PRICES)
        replies = []
        with pytest.raises(BudgetSpentError, match="2 USD") as caught:
            replies.extend(endpoint.ask_all(make_asks(1000)))
    cost = endpoint.spend.cost
    assert cost is not None
    assert isinstance(caught.value, InfrastructureError)
    assert 1.6 < cost <= 2.0
    assert budget.spent == pytest.approx(cost)
    assert len(replies) == server.counts["ok"] == endpoint.spend.calls


def test_endpoints_share_a_budget() -> None:
    with LoopbackServer() as server:
        budget = Budget(1.0)
        endpoints = [
            make_endpoint(server, budget=budget, max_tokens=20, price_per_million=PRICES)
            for _ in range(2)
        ]
        list(endpoints[0].ask_all(make_asks(40)))
        with pytest.raises(BudgetSpentError):
            list(endpoints[1].ask_all(make_asks(1000)))
    assert sum(endpoint.spend.cost or 0 for endpoint in endpoints) <= 1.0


def test_answers_of_a_server_that_reports_no_usage_count_at_the_most_they_may_cost() -> None:
    with LoopbackServer(fault=always("no_usage")) as server:
        budget = Budget(0.5)
        endpoint = make_endpoint(server, budget=budget, max_tokens=20, price_per_million=PRICES)
        replies = []
        with pytest.raises(BudgetSpentError):
            replies.extend(endpoint.ask_all(make_asks(1000)))
    assert 0 < len(replies) < 3  # 20 tokens of output are 20 cents
    assert 0.2 < budget.spent <= 0.5


def test_an_answer_that_never_came_counts_as_paid() -> None:
    with LoopbackServer(fault=always("reset")) as server:
        budget = Budget(0.5)
        endpoint = make_endpoint(server, budget=budget, max_tokens=20, price_per_million=PRICES)
        with pytest.raises(BudgetSpentError):
            list(endpoint.ask_all(make_asks(100)))
    assert 0 < budget.spent <= 0.5
    assert endpoint.spend.cost == 0


def test_refused_requests_cost_nothing() -> None:
    with LoopbackServer(fault=always("context_length")) as server:
        budget = Budget(1.0)
        endpoint = make_endpoint(server, budget=budget, max_tokens=20, price_per_million=PRICES)
        list(endpoint.ask_all(make_asks(50)))
    assert budget.spent == 0


def test_prices_in_another_currency_are_refused() -> None:
    with pytest.raises(HarnessError, match="EUR"):
        make_endpoint(
            "http://localhost:1/v1",
            budget=Budget(1.0, currency="EUR"),
            price_per_million=PRICES,
        )


def test_a_reservation_waits_for_what_may_come_out_cheaper() -> None:
    async def two() -> tuple[bool, float]:
        budget = Budget(1.0)
        await budget.reserve(0.8)
        second = asyncio.create_task(budget.reserve(0.8))
        await asyncio.sleep(0)
        waited = not second.done()
        budget.settle(0.8, 0.1)
        await second
        budget.settle(0.8, 0.2)
        return waited, budget.spent

    waited, spent = asyncio.run(two())
    assert waited
    assert spent == pytest.approx(0.3)
