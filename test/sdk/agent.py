"""A scripted model behind Anthropic's Messages API, for a coding agent to work with.

It plays the model of one task: it runs one command with whatever tool the agent offers for commands, looks at
the result, and says that it is done. It insists on what a real model would need: that the result of its call
comes back under the id of the call, and its thinking with the signature that it gave. `serve` returns the
server and the list of requests that it got; a request that is not as it must be is answered with 400.
"""

import http.server
import json
import threading

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBzY3JpcHQ="
CALL = "toolu_script_1"
USAGE = {"input_tokens": 100, "output_tokens": 20}


def command_for(tools, command):
    """The call of the first tool that runs commands, as its schema wants it."""
    for tool in tools:
        properties = tool["input_schema"].get("properties", {})
        for name in ("cmd", "command"):
            if name in properties and properties[name].get("type") == "array":
                return tool["name"], {name: ["bash", "-lc", command]}
            if name in properties:
                return tool["name"], {name: command}
    raise ValueError(f"no tool runs commands: {[tool['name'] for tool in tools]}")


def turn(request, command):
    """The content of the model's next turn."""
    blocks = [block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]]
    results = [block for block in blocks if block["type"] == "tool_result"]
    if not results:
        name, arguments = command_for(request["tools"], command)
        return [
            {"type": "thinking", "thinking": "The file does not exist yet.", "signature": SIGNATURE},
            {"type": "text", "text": "I write the file."},
            {"type": "tool_use", "id": CALL, "name": name, "input": arguments},
        ]
    if results[0]["tool_use_id"] != CALL:
        raise ValueError(f"a result of another call: {results[0]}")
    if not any(block["type"] == "thinking" and block["signature"] == SIGNATURE for block in blocks):
        raise ValueError("the signed thinking did not come back")
    return [{"type": "text", "text": "The task is done."}]


def events(model, content):
    """The turn as the events of a stream."""
    head = {"id": "msg_script", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None, "stop_sequence": None, "usage": USAGE}
    yield {"type": "message_start", "message": head}
    for index, block in enumerate(content):
        if block["type"] == "tool_use":
            start, deltas = block | {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        elif block["type"] == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}, {"type": "signature_delta", "signature": SIGNATURE}]
        else:
            start, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}


def serve(model, command):
    """Serves the script on a free loopback port. The caller shuts the server down."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(200, "application/json", json.dumps({"data": [{"id": model, "type": "model"}], "has_more": False}).encode())

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            requests.append(request)
            try:
                content = turn(request, command)
            except (ValueError, KeyError) as error:
                refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": f"the script: {error}"}}
                self.answer(400, "application/json", json.dumps(refusal).encode())
                return
            frames = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(model, content))
            self.answer(200, "text/event-stream", frames.encode())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, requests
