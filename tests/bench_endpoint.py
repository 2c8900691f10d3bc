"""What asking costs: `python -m tests.bench_endpoint [ROUNDS]`.

2,000 asks at a fixed latency of 200 ms and a concurrency of 64, each way a whole process of its
own against the same server. `bare` is AsyncOpenAI in a loop with a semaphore and no bookkeeping.
"""

import subprocess
import sys

from tests.bench import measure, show

N, CONCURRENCY, LATENCY_S = 2000, 64, 0.2

SHARED = f"""
import sys
URL, N, CONCURRENCY = sys.argv[1], {N}, {CONCURRENCY}
SYSTEM = "You grade answers to patients. Answer in JSON. " * 20
def chat(i):
    return [{{"role": "system", "content": SYSTEM}},
            {{"role": "user", "content": f"Question {{i}}: " + "the answer to be graded " * 40}}]
"""

BARE = (
    SHARED
    + """
import asyncio
from openai import AsyncOpenAI
async def main():
    client, gate = AsyncOpenAI(base_url=URL, api_key="none"), asyncio.Semaphore(CONCURRENCY)
    async def ask(i):
        async with gate:
            answer = await client.chat.completions.create(
                model="m", messages=chat(i), temperature=0, max_tokens=100)
            return answer.choices[0].message.content
    print(len(await asyncio.gather(*map(ask, range(N)))))
asyncio.run(main())
"""
)

OURS = (
    SHARED
    + """
from harness.endpoint import Ask, Endpoint
from harness.suite import EndpointSpec
from harness.types import Message
endpoint = Endpoint(EndpointSpec(model="m", base_url=URL, max_tokens=100, max_concurrency=CONCURRENCY))
asks = (Ask(tuple(Message(**m) for m in chat(i))) for i in range(N))
print(sum(reply.problem is None for _, reply in endpoint.ask_all(asks)), endpoint.spend.calls)
"""
)

ABATCH = (
    SHARED
    + """
import asyncio
from langchain_openai import ChatOpenAI
chat_model = ChatOpenAI(model="m", base_url=URL, api_key="none", temperature=0, max_tokens=100)
asks = [[(m["role"], m["content"]) for m in chat(i)] for i in range(N)]
print(len(asyncio.run(chat_model.abatch(asks, {"max_concurrency": CONCURRENCY}))))
"""
)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    serve = (sys.executable, "-m", "tests.loopback.server", "--latency", str(LATENCY_S))
    print("| what | wall s | CPU s | peak MB | said |\n|---|---|---|---|---|")
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for _ in range(rounds):
            for name, code in (("bare AsyncOpenAI", BARE), ("Endpoint", OURS), ("abatch", ABATCH)):
                show(name, measure(sys.executable, "-c", code, url))
        server.kill()


if __name__ == "__main__":
    main()
