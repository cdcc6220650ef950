"""Visits an MCP server with FastMCP's client, signing in with `BearerAuth` as FastMCP's own documentation shows."""

import asyncio
import contextlib
import json
import os

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from mcp.types import PromptReference

import everything
import report


class Hands:
    """What `everything` needs of this client."""

    cannot = {"subscribe": "FastMCP's client has no method to follow a resource, in either era"}

    def __init__(self, mode):
        self.mode, self.answer, self.asked = mode, "accept", []

    @contextlib.asynccontextmanager
    async def connected(self):
        async def answer(message, _, params, __):
            action, content = everything.answer_to(self, message, getattr(params, "requested_schema", None))
            return ElicitResult(action=action, content=content if action == "accept" else None)

        if options.stdio:
            command, *args = options.stdio
            transport, auth = StdioTransport(command, args, env=dict(os.environ), keep_alive=False), None
        else:
            transport, auth = options.url, BearerAuth(token=options.token) if options.token else None
        async def ignore(_):
            pass

        handlers = {"elicitation_handler": answer, "log_handler": ignore}
        async with Client(transport, auth=auth, mode=self.mode, timeout=60, **handlers) as self.client:
            yield self

    async def lists(self):
        client = self.client
        return {
            "tools": [tool.name for tool in await client.list_tools()],
            "resources": [str(resource.uri) for resource in await client.list_resources()],
            "templates": [template.uri_template for template in await client.list_resource_templates()],
            "prompts": [prompt.name for prompt in await client.list_prompts()],
        }

    async def call(self, name, arguments, heard=None):
        result = await self.client.call_tool(name, arguments, progress_handler=heard, raise_on_error=False)
        return report.call(name, result)

    async def read(self, uri):
        return report.reads(await self.client.read_resource(uri))

    async def prompt(self, name, arguments):
        return [message.content.text for message in (await self.client.get_prompt(name, arguments)).messages]

    async def complete(self, prompt, argument, value):
        reference = PromptReference(type="ref/prompt", name=prompt)
        return (await self.client.complete(reference, {"name": argument, "value": value})).values


async def visit(seen):
    hands = Hands(options.mode)
    async with hands.connected():
        client = hands.client
        seen["protocol"] = client.protocol_version
        seen["server"] = client.server_info.name if client.server_info else None
        seen["instructions"] = client.instructions
        seen |= await hands.lists()
        for name, arguments in options.call:
            seen["calls"].append(await hands.call(name, json.loads(arguments)))
        for uri in options.read:
            seen["reads"] += await hands.read(uri)
        if options.everything:
            seen["features"] = await everything.everything(hands, options.everything, options.note)


options = report.arguments(__doc__)
if options.soak:
    asyncio.run(everything.soak(options, lambda mode: Hands(mode).connected()))
else:
    report.run("fastmcp", visit)
