"""What the Python clients share: their arguments, and the one line of JSON that says what they saw.

A client only looks and reports; what should have been there is for the test that started it to say.
"""

import argparse
import asyncio
import json
import sys


def arguments(description):
    """Reads `(--url URL [--token T] | --stdio COMMAND ARG…)`, `--call NAME JSON` and `--read URI`; `--stdio` comes last."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", help="the endpoint of a Streamable HTTP server")
    parser.add_argument("--token", help="the bearer token to present to it")
    parser.add_argument("--mode", default="auto", help="auto, legacy or a protocol version such as 2026-07-28")
    parser.add_argument("--call", nargs=2, action="append", default=[], metavar=("TOOL", "JSON"))
    parser.add_argument("--read", action="append", default=[], metavar="URI")
    parser.add_argument("--answer", choices=["accept", "decline"], help="what to answer to each question")
    parser.add_argument("--everything", metavar="NAME", help="do all there is to do, under this name")
    parser.add_argument("--note", metavar="FILE", help="the file to change, to hear of that")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="keep several clients busy for this long")
    parser.add_argument("--clients", type=int, default=1, help="how many")
    parser.add_argument("--pause", type=float, default=1, metavar="SECONDS", help="how long each rests after a round")
    parser.add_argument("--name", default="client", help="what their names begin with")
    parser.add_argument("--stdio", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command of a STDIO server")
    options = parser.parse_args()
    if bool(options.url) == bool(options.stdio):
        parser.error("one of --url and --stdio is needed")
    return options


def run(client, visit):
    """Runs `visit(seen)`, prints what it saw, and exits with 1 if it could not see everything."""
    seen = {"client": client, "protocol": None, "server": None, "instructions": None}
    seen |= {"tools": [], "resources": [], "templates": [], "prompts": [], "calls": [], "reads": [], "asked": [], "progress": [], "error": None}
    try:
        asyncio.run(visit(seen))
    except BaseException as error:
        seen["error"] = reason(error)
    print(json.dumps(seen, default=str))
    sys.exit(1 if seen["error"] else 0)


def call(name, result):
    """What one tool call gave."""
    return {
        "name": name,
        "is_error": bool(result.is_error),
        "content": [block.type for block in result.content],
        "text": "".join(block.text for block in result.content if block.type == "text"),
        "structured": result.structured_content,
    }


def reads(contents):
    """What reading one resource gave."""
    return [
        {
            "uri": str(content.uri),
            "mime_type": content.mime_type,
            "text": getattr(content, "text", None),
            "blob": getattr(content, "blob", None),
        }
        for content in contents
    ]


def reason(error):
    """The first cause in a group of exceptions, as task groups raise them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
