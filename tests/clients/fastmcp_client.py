"""Visits an MCP server with FastMCP's client, signing in with `BearerAuth` as FastMCP's own documentation shows."""

import json
import os

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

import report


def connect():
    if options.stdio:
        command, *args = options.stdio
        return Client(StdioTransport(command, args, env=dict(os.environ), keep_alive=False), mode=options.mode)
    return Client(options.url, auth=BearerAuth(token=options.token) if options.token else None, mode=options.mode)


async def visit(seen):
    async with connect() as client:
        seen["protocol"] = client.protocol_version
        seen["server"] = client.server_info.name if client.server_info else None
        seen["instructions"] = client.instructions
        seen["tools"] = [tool.name for tool in await client.list_tools()]
        seen["resources"] = [str(resource.uri) for resource in await client.list_resources()]
        seen["templates"] = [template.uri_template for template in await client.list_resource_templates()]
        for name, arguments in options.call:
            seen["calls"].append(await call(client, name, json.loads(arguments)))
        for uri in options.read:
            seen["reads"] += report.reads(await client.read_resource(uri))


async def call(client, name, arguments):
    try:
        return report.call(name, await client.call_tool(name, arguments))
    except ToolError as error:  # A result with `isError`, which this client raises.
        return {"name": name, "is_error": True, "content": ["text"], "text": str(error), "structured": None}


options = report.arguments(__doc__)
report.run("fastmcp", visit)
