"""Visits an MCP server with the official Python SDK (`mcp`), over Streamable HTTP or STDIO and in either protocol era."""

import asyncio
import contextlib
import json
import os

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult, PromptReference, ResourceUpdatedNotification

import everything
import report


class Hands:
    """What `everything` needs of this client."""

    cannot = {}

    def __init__(self, mode, answer):
        self.mode, self.answer, self.asked, self.updated = mode, answer, [], asyncio.Queue()

    @contextlib.asynccontextmanager
    async def connected(self):
        async def answer(_, params):
            action, content = everything.answer_to(self, params.message, getattr(params, "requested_schema", None))
            return ElicitResult(action=action, content=content if action == "accept" else None)

        async def heard(message):
            if isinstance(message, ResourceUpdatedNotification):
                self.updated.put_nowait(str(message.params.uri))

        callbacks = {"elicitation_callback": answer} if self.answer else {}
        client = Client(server(), mode=self.mode, read_timeout_seconds=60, message_handler=heard, **callbacks)
        async with client as self.client:
            yield self

    async def lists(self):
        client = self.client
        return {
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "resources": [str(resource.uri) for resource in (await client.list_resources()).resources],
            "templates": [it.uri_template for it in (await client.list_resource_templates()).resource_templates],
            "prompts": [prompt.name for prompt in (await client.list_prompts()).prompts],
        }

    async def call(self, name, arguments, heard=None):
        return report.call(name, await self.client.call_tool(name, arguments, progress_callback=heard))

    async def read(self, uri):
        return report.reads((await self.client.read_resource(uri)).contents)

    async def prompt(self, name, arguments):
        return [message.content.text for message in (await self.client.get_prompt(name, arguments)).messages]

    async def complete(self, prompt, argument, value):
        reference = PromptReference(type="ref/prompt", name=prompt)
        return (await self.client.complete(reference, {"name": argument, "value": value})).completion.values

    @contextlib.asynccontextmanager
    async def follow(self, uri):
        if self.client.protocol_version >= "2026-07-28":
            async with self.client.listen(resource_subscriptions=[uri]) as subscription:

                async def event():
                    return (await anext(subscription)).uri

                yield event
        else:
            await self.client.subscribe_resource(uri)
            yield self.updated.get
            await self.client.unsubscribe_resource(uri)


def server():
    if options.stdio:
        command, *args = options.stdio
        return StdioServerParameters(command=command, args=args, env=dict(os.environ))
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    return streamable_http_client(options.url, http_client=httpx2.AsyncClient(headers=headers, timeout=60))


async def visit(seen):
    hands = Hands(options.mode, "accept" if options.everything else options.answer)
    seen["asked"] = hands.asked

    async def progress(step, _, message):
        seen["progress"].append([step, message])

    async with hands.connected():
        client = hands.client
        seen["protocol"] = client.protocol_version
        seen["server"] = client.server_info.name if client.server_info else None
        seen["instructions"] = client.instructions
        seen |= await hands.lists()
        for name, arguments in options.call:
            seen["calls"].append(await hands.call(name, json.loads(arguments), progress))
        for uri in options.read:
            seen["reads"] += await hands.read(uri)
        if options.everything:
            seen["features"] = await everything.everything(hands, options.everything, options.note)


options = report.arguments(__doc__)
if options.soak:
    asyncio.run(everything.soak(options, lambda mode: Hands(mode, "accept").connected()))
else:
    report.run("python-mcp", visit)
