"""One round of everything a client can do, whichever Python client it is; `tests/it/everything.rs` has the server's side.

What a client has no method for it says in `cannot`, by feature and with the reason.
"""

import asyncio
import contextlib
import json
import random
import time

import report

PATIENCE = 60
RANGE = {"start_date": "2026-01-05", "end_date": "2026-01-09"}
NOTE = "docs://note"


async def everything(client, name, note=None):
    """Does all of it and says what came of it. Changes the file `note` to hear of that; without, somebody else changes it."""
    seen = {}
    for key, feature in FEATURES.items():
        reason = client.cannot.get(key)
        seen[key] = {"cannot": reason} if reason else {"did": await asyncio.wait_for(feature(client, name, note), PATIENCE)}
    return seen


async def listed(client, name, note):
    return await client.lists()


async def called(client, name, note):
    return [await client.call("get_employee_schedule", RANGE), await client.call("fails", {})]


async def read(client, name, note):
    return await client.read("config://app/settings") + await client.read("schema://employee/7")


async def prompted(client, name, note):
    return await client.prompt("plan", {"month": "July"})


async def completed(client, name, note):
    return await client.complete("plan", "month", "Ju")


async def followed(client, name, note):
    async with client.follow(NOTE) as updated:
        for number in range(PATIENCE):
            if note:
                with open(note, "w") as file:
                    file.write(f"{name} {number}")
            with contextlib.suppress(asyncio.TimeoutError):
                # The server may not have begun to watch its files, so the change is made again.
                return await asyncio.wait_for(updated(), 2)
    raise RuntimeError(f"nobody told of {NOTE}")


async def asked(client, name, note):
    client.asked.clear()
    client.answer = "accept"
    accepted = await client.call("request_leave", {"days": 9})
    client.answer = "decline"
    declined = await client.call("request_leave", {"days": 2})
    return {"asked": list(client.asked), "accepted": accepted, "declined": declined}


async def cancelled(client, name, note):
    call = asyncio.create_task(client.call("slow", {"id": name}))
    begun = await client.call("begun", {"id": name})
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    ended = await client.call("ended", {"id": name})
    return {"begun": begun["text"], "ended": ended["text"]}


async def progressed(client, name, note):
    steps = []

    async def heard(step, _, message):
        steps.append([step, message])

    await client.call("get_employee_schedule", RANGE, heard)
    return steps


FEATURES = {
    "list": listed,
    "call": called,
    "read": read,
    "prompt": prompted,
    "complete": completed,
    "subscribe": followed,
    "elicit": asked,
    "cancel": cancelled,
    "progress": progressed,
}


def answer_to(client, message, schema):
    """What the user says to a question, and what is put into its form."""
    client.asked.append(message)
    fields = (schema or {}).get("properties", {})
    return client.answer, {"text": "a wedding"} if client.answer == "accept" and "text" in fields else {}


async def soak(options, connect):
    """Keeps several clients busy until the time is up; says how many rounds each made, and the first thing that went wrong."""
    until = time.monotonic() + options.soak

    async def one(number):
        mode = "legacy" if number % 2 else "auto"
        name, rounds = f"{options.name}-{number}", 0
        await asyncio.sleep(random.random() * options.pause)
        async with connect(mode) as client:
            while rounds == 0 or time.monotonic() < until:
                seen = await everything(client, f"{name}-{rounds}")
                wrong = mistakes(seen)
                if wrong:
                    raise RuntimeError(f"{name} ({mode}), round {rounds}: {wrong}")
                rounds += 1
                await asyncio.sleep(min(options.pause, max(0, until - time.monotonic())))
        return rounds

    ended = await asyncio.gather(*(one(number) for number in range(options.clients)), return_exceptions=True)
    errors = [report.reason(it) for it in ended if isinstance(it, BaseException)]
    print(json.dumps({"rounds": [it for it in ended if isinstance(it, int)], "errors": errors}))


def mistakes(seen):
    """What is not as it should be, without looking at what a reload changes."""
    did = {key: it.get("did") for key, it in seen.items()}
    return [
        key
        for key, is_fine in {
            "call": [it["is_error"] for it in did["call"]] == [False, True],
            "read": len(did["read"]) == 2,
            "prompt": did["prompt"] == ["Plan July."],
            "complete": did["complete"] == ["June", "July"],
            "subscribe": did["subscribe"] in (None, NOTE),
            "elicit": len(did["elicit"]["asked"]) == 3
            and not did["elicit"]["accepted"]["is_error"]
            and did["elicit"]["declined"]["is_error"],
            "cancel": "closed" in did["cancel"]["ended"],
            "progress": len(did["progress"]) == 4,
        }.items()
        if not is_fine
    ]
