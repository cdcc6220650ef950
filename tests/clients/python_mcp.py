"""Visits an MCP server with the official Python SDK (`mcp`), over Streamable HTTP or STDIO and in either protocol era."""

import json
import os

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

import report


def server(options):
    if options.stdio:
        command, *args = options.stdio
        return StdioServerParameters(command=command, args=args, env=dict(os.environ))
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    return streamable_http_client(options.url, http_client=httpx2.AsyncClient(headers=headers, timeout=30))


async def visit(seen):
    async def answer(_, params):
        seen["asked"].append(params.message)
        content = {} if options.answer == "accept" else None
        return ElicitResult(action=options.answer, content=content)

    async def progress(step, _, message):
        seen["progress"].append([step, message])

    answering = {"elicitation_callback": answer} if options.answer else {}
    async with Client(server(options), mode=options.mode, read_timeout_seconds=30, **answering) as client:
        seen["protocol"] = client.protocol_version
        seen["server"] = client.server_info.name if client.server_info else None
        seen["instructions"] = client.instructions
        seen["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        seen["resources"] = [str(resource.uri) for resource in (await client.list_resources()).resources]
        templates = (await client.list_resource_templates()).resource_templates
        seen["templates"] = [template.uri_template for template in templates]
        for name, arguments in options.call:
            seen["calls"].append(report.call(name, await client.call_tool(name, json.loads(arguments), progress_callback=progress)))
        for uri in options.read:
            seen["reads"] += report.reads((await client.read_resource(uri)).contents)


options = report.arguments(__doc__)
report.run("python-mcp", visit)
