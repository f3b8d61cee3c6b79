"""The official Python SDKs against a running Sallyport: one JSON line a case on standard output.

Run by test/sdk/run, which also judges what the upstream saw. The plan (addresses, keys, model names) is
the JSON file named by the first argument.
"""

import base64
import hashlib
import json
import math
import secrets
import sys
import time

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CITY = {**WEATHER, "additionalProperties": False}  # strict modes insist on it
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
# What a 135M model answers with a tool call; phrasing matters to it, so there is more than one.
LAB_TOOL_PROMPTS = ["Call get_weather for Lisbon.", "Weather in Oslo now?", "Weather in Rome?", "Call get_weather for Berlin."]


class Failed(Exception):
    """What was expected and what came."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


def digest_of(text):
    """The digest that the simulated provider puts into its answer to a single user message."""
    return hashlib.sha256(f"user: {text}\n".encode()).hexdigest()[:16]


def expect_answer(text, answer, nonce):
    start = f"digest:{digest_of(text)} nonce:{nonce.removeprefix('nonce-')}"
    expect(answer.startswith(start), f"{answer!r} does not start with {start!r}")


def expect_city(text, answer):
    city = json.loads(answer)["city"] if isinstance(answer, str) else answer["city"]
    expect(city.startswith(digest_of(text)), f"{city!r} does not start with {digest_of(text)}")


def expect_calls(text, calls):
    """calls: (id, name, arguments) of every call; APIs without ids give None."""
    expect([name for _, name, _ in calls] == ["get_weather", "get_time"], f"calls {calls}")
    expect(calls[0][0] is None or calls[0][0] != calls[1][0], f"one id for two calls: {calls}")
    for _, _, arguments in calls:
        expect_city(text, arguments)


def expect_seen(answers, nonce):
    for answer in answers:
        expect(answer.startswith("digest:") and nonce.removeprefix("nonce-") in answer, f"answer {answer!r}")


def expect_long(text, unary, streamed, nonce):
    expect_answer(text, unary, nonce)
    expect(len(unary) > 50_000, f"{len(unary)} characters")
    expect(unary == streamed, f"{len(unary)} characters whole, {len(streamed)} streamed")


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    except Exception as error:  # the wrong type is the finding
        raise Failed(f"raised {type(error).__name__}, not {kind.__name__}: {error}") from error
    raise Failed(f"ended cleanly instead of raising {kind.__name__}")


class OpenAI:
    name = "openai-python"

    def __init__(self, plan):
        self.plan = plan
        self.models = plan["models"]
        self.client = openai.OpenAI(base_url=plan["roots"]["openai"] + "/v1", api_key=plan["keys"]["openai"])

    def chat(self, text, client=None, **more):
        return (client or self.client).chat.completions.create(
            model=more.pop("model", self.models["chat"]), messages=[{"role": "user", "content": text}], **more
        )

    def unary(self, nonce):
        text = f"hello {nonce}"
        answer = self.chat(text)
        expect_answer(text, answer.choices[0].message.content, nonce)
        expect(answer.choices[0].finish_reason == "stop", answer.choices[0].finish_reason)
        expect(answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, f"usage {answer.usage}")
        expect(answer._request_id, "no x-request-id")

    def stream(self, nonce):
        text = f"hello {nonce} [[frames=12]]"
        chunks = list(self.chat(text, stream=True))
        expect(all(chunk.choices for chunk in chunks), "a usage chunk that was not asked for")
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
        expect(len(pieces) == 12, f"{len(pieces)} pieces, not 12")
        expect_answer(text, "".join(pieces), nonce)
        expect(chunks[-1].choices[0].finish_reason == "stop", "no finish reason")

    def stream_usage(self, nonce):
        chunks = list(self.chat(f"hello {nonce}", stream=True, stream_options={"include_usage": True}))
        usage = [chunk.usage for chunk in chunks if chunk.usage]
        expect(len(usage) == 1 and usage[0].completion_tokens > 0, f"usage {usage}")
        expect(chunks[-1].choices == [], "the usage chunk is not the last")

    def tools(self, nonce):
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
        question = {"role": "user", "content": f"weather? {nonce}"}
        choice = {"type": "function", "function": {"name": "get_weather"}}
        first = self.client.chat.completions.create(model=self.models["chat"], messages=[question], tools=[tool], tool_choice=choice)
        call = first.choices[0].message.tool_calls[0]
        city = json.loads(call.function.arguments)["city"]
        expect(city == digest_of(question["content"]) + ' "é" 🚀', f"arguments {call.function.arguments}")
        expect(first.choices[0].finish_reason in ("tool_calls", "stop"), first.choices[0].finish_reason)
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        second = self.client.chat.completions.create(model=self.models["chat"], messages=[question, first.choices[0].message, result], tools=[tool])
        expect(second.choices[0].message.content.startswith("digest:"), "no text after the tool result")

    def tools_stream(self, nonce):
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
        text = f"weather? {nonce}"
        arguments, names = "", []
        for chunk in self.chat(text, stream=True, tools=[tool], tool_choice="required"):
            for call in chunk.choices[0].delta.tool_calls or []:
                names += [call.function.name] if call.function.name else []
                arguments += call.function.arguments or ""
        expect(names == ["get_weather"], f"names {names}")
        expect(json.loads(arguments)["city"].startswith(digest_of(text)), f"arguments {arguments}")

    def responses(self, nonce):
        answer = self.client.responses.create(model=self.models["chat"], input=f"hello {nonce}")
        expect(answer.output_text.startswith("digest:"), f"answer {answer.output_text!r}")
        expect(answer.status == "completed" and answer.usage.output_tokens > 0, f"status {answer.status}, usage {answer.usage}")
        events = list(self.client.responses.create(model=self.models["chat"], input=f"hello {nonce}", stream=True))
        kinds = [event.type for event in events]
        expect(kinds[0] == "response.created" and kinds[-1] == "response.completed", f"events {kinds}")
        expect([event.sequence_number for event in events] == list(range(len(events))), "sequence numbers have gaps")

    def responses_tools(self, nonce):
        tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
        text = f"weather? {nonce}"
        question = {"role": "user", "content": text}
        first = self.client.responses.create(model=self.models["chat"], input=[question], tools=[tool], tool_choice="required")
        [call] = [item for item in first.output if item.type == "function_call"]
        expect(json.loads(call.arguments)["city"] == digest_of(text) + ' "é" 🚀', f"arguments {call.arguments}")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        second = self.client.responses.create(model=self.models["chat"], input=[question, *first.output, result], tools=[tool])
        expect(second.output_text.startswith("digest:"), "no text after the tool result")
        third = self.client.responses.create(model=self.models["chat"], input=[question, *first.output, result, *second.output, question], tools=[tool])
        expect(third.output_text.startswith("digest:"), "no text in the third turn")

    def events(self, asked, **more):
        """The events of a streamed response, and the response that the last of them holds."""
        events = list(self.client.responses.create(model=self.models["chat"], input=asked, stream=True, **more))
        expect(events[-1].type == "response.completed", f"ended with {events[-1].type}")
        return events, events[-1].response

    def both_responses(self, asked, **more):
        """A whole response and a streamed one, whose pieces must be what its end says."""
        events, streamed = self.events(asked, **more)
        pieces = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        expect(pieces == streamed.output_text, f"streamed {pieces!r}, ended with {streamed.output_text!r}")
        return [self.client.responses.create(model=self.models["chat"], input=asked, **more), streamed]

    def responses_parallel(self, nonce):
        text = f"call get_weather and get_time {nonce}"
        tools = [{"type": "function", "name": name, "parameters": WEATHER, "strict": False} for name in ("get_weather", "get_time")]
        for answer in self.both_responses(text, tools=tools):
            expect_calls(text, [(item.call_id, item.name, item.arguments) for item in answer.output if item.type == "function_call"])

    def responses_structured(self, nonce):
        text = f"where? {nonce}"
        shape = {"format": {"type": "json_schema", "name": "place", "strict": True, "schema": CITY}}
        for answer in self.both_responses(text, text=shape):
            expect_city(text, answer.output_text)

    def responses_image(self, nonce):
        picture = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PICTURE}"}
        content = [{"type": "input_text", "text": f"what is it? {nonce}"}, picture]
        answers = self.both_responses([{"role": "user", "content": content}])
        expect_seen([answer.output_text for answer in answers], nonce)

    def responses_reasoning(self, nonce):
        answers = self.both_responses(f"think {nonce}", reasoning={"effort": "low"})
        expect_seen([answer.output_text for answer in answers], nonce)

    def responses_long(self, nonce):
        text = f"hello {nonce} [[frames=300 frame-bytes=200]]"
        unary, streamed = (answer.output_text for answer in self.both_responses(text))
        expect_long(text, unary, streamed, nonce)

    def responses_cut(self, nonce):
        for how in ("reset", "close", "end"):
            kinds = []
            try:
                for event in self.client.responses.create(model=self.models["chat"], input=f"hello {nonce} [[frames=20 cut=5 how={how}]]", stream=True):
                    kinds.append(event.type)
            except openai.APIError:
                continue
            expect(kinds[-1] in ("error", "response.failed"), f"ended with {kinds[-1]}")

    def responses_errors(self, nonce):
        client = self.client.with_options(max_retries=0)
        for status, kind in ((400, openai.BadRequestError), (429, openai.RateLimitError), (503, openai.InternalServerError)):
            text = f"hello {nonce} [[status={status}]]"
            error = raises(kind, lambda text=text: client.responses.create(model=self.models["chat"], input=text))
            expect(error.body and error.body["message"], f"body {error.body}")

    def lab_responses(self, nonce):
        answer = self.client.responses.create(model=self.plan["lab"]["chat"], input="Say hello.", max_output_tokens=16)
        expect(answer.output_text and answer.usage.output_tokens > 0, f"answer {answer}")

    def embeddings(self, nonce):
        answer = self.client.embeddings.create(model=self.models["embed"], input=[f"a {nonce}", f"b {nonce}"])
        for item in answer.data:
            length = math.sqrt(sum(x * x for x in item.embedding))
            expect(abs(length - 1) < 1e-3, f"length {length}")
        expect(len(answer.data) == 2 and answer.data[0].embedding != answer.data[1].embedding, "two inputs, one vector")
        plain = self.client.embeddings.create(model=self.models["embed"], input=f"a {nonce}", encoding_format="float")
        same = all(abs(x - y) < 1e-6 for x, y in zip(plain.data[0].embedding, answer.data[0].embedding, strict=True))
        expect(same, "base64 and float differ")
        raw = self.client.embeddings.with_raw_response.create(model=self.models["embed"], input=f"a {nonce}", encoding_format="base64")
        expect(base64.b64decode(raw.http_response.json()["data"][0]["embedding"]), "base64 was not passed on")

    def parallel(self, nonce):
        text = f"call get_weather and get_time {nonce}"
        tools = [{"type": "function", "function": {"name": name, "parameters": WEATHER}} for name in ("get_weather", "get_time")]
        calls = self.chat(text, tools=tools).choices[0].message.tool_calls
        expect_calls(text, [(call.id, call.function.name, call.function.arguments) for call in calls])
        made = {}
        for chunk in self.chat(text, tools=tools, stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                one = made.setdefault(call.index, [None, None, ""])
                one[0], one[1] = one[0] or call.id, one[1] or call.function.name
                one[2] += call.function.arguments or ""
        expect_calls(text, [tuple(made[index]) for index in sorted(made)])

    def structured(self, nonce):
        text = f"where? {nonce}"
        shape = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": CITY}}
        expect_city(text, self.chat(text, response_format=shape).choices[0].message.content)
        expect_city(text, self.streamed(text, response_format=shape))

    def streamed(self, text, **more):
        return "".join(chunk.choices[0].delta.content or "" for chunk in self.chat(text, stream=True, **more))

    def image(self, nonce):
        content = [{"type": "text", "text": f"what is it? {nonce}"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]
        expect_seen([self.chat(content).choices[0].message.content, self.streamed(content)], nonce)

    def reasoning(self, nonce):
        text = f"think {nonce}"
        expect_seen([self.chat(text, reasoning_effort="low").choices[0].message.content, self.streamed(text, reasoning_effort="low")], nonce)

    def long(self, nonce):
        text = f"hello {nonce} [[frames=300 frame-bytes=200]]"
        expect_long(text, self.chat(text).choices[0].message.content, self.streamed(text), nonce)

    def files(self, nonce):
        made = self.client.files.create(file=("lines.jsonl", f"{nonce}\n".encode()), purpose="batch")
        expect(self.client.files.retrieve(made.id).id == made.id, "retrieve gave another file")
        expect(made.id in [one.id for one in self.client.files.list()], "the file is not in the list")
        expect(self.client.files.content(made.id).read() == f"{nonce}\n".encode(), "the content changed")
        batch = self.client.batches.create(input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h")
        expect(batch.id in [one.id for one in self.client.batches.list()], "the batch is not in the list")
        expect(self.client.batches.retrieve(batch.id).input_file_id == made.id, "the batch has another file")
        expect(self.client.files.delete(made.id).deleted, "not deleted")
        raises(openai.NotFoundError, lambda: self.client.files.retrieve(made.id))
        raises(openai.NotFoundError, lambda: self.client.files.retrieve("file-of-nobody"))

    def media(self, nonce):
        media = self.plan["media"]
        picture = self.client.images.generate(model=media["image"], prompt=f"a gate {nonce}").data[0]
        expect(base64.b64decode(picture.b64_json), "no picture")
        edited = self.client.images.edit(model=media["image"], prompt=f"a door {nonce}", image=("a.png", base64.b64decode(PICTURE), "image/png")).data[0]
        expect(edited.b64_json and edited.b64_json != picture.b64_json, "the edit is the picture")
        sound = self.client.audio.speech.create(model=media["speech"], voice="alloy", input=f"hello {nonce}").read()
        expect(len(sound) > 0, "no sound")
        heard = self.client.audio.transcriptions.create(model=media["hearing"], file=("a.mp3", sound, "audio/mpeg"))
        expect(hashlib.sha256(sound).hexdigest()[:16] in heard.text, f"heard {heard.text!r}")
        judged = self.client.moderations.create(model=media["moderation"], input=f"violence {nonce}")
        expect(judged.results[0].flagged, "not flagged")

    def list_models(self, nonce):
        ids = [model.id for model in self.client.models.list()]
        expect(self.models["chat"] in ids and self.models["embed"] in ids, f"models {ids}")
        expect(self.client.models.retrieve(self.models["chat"]).id == self.models["chat"], "retrieve gave another model")
        raises(openai.NotFoundError, lambda: self.client.models.retrieve("no-such-model"))

    def bad_key(self, nonce):
        client = openai.OpenAI(base_url=self.plan["roots"]["openai"] + "/v1", api_key=self.plan["bad_key"])
        error = raises(openai.AuthenticationError, lambda: self.chat(f"hello {nonce}", client))
        expect(error.status_code == 401 and self.plan["bad_key"] not in str(error), f"error {error}")

    def unknown_model(self, nonce):
        error = raises(openai.NotFoundError, lambda: self.chat(f"hello {nonce}", model="no-such-model"))
        expect(error.code == "model_not_found" or error.message, f"error {error}")
        expect(error.response.headers.get("x-sallyport-reason"), "no x-sallyport-reason")

    def bad_request(self, nonce):
        raises(openai.BadRequestError, lambda: self.chat(f"hello {nonce} [[status=400]]"))

    def cancel(self, nonce):
        stream = self.chat(f"hello {nonce} [[frames=3000 gap=20ms]]", stream=True)
        for _, _ in zip(range(3), stream):
            pass
        stream.close()

    def cut(self, nonce):
        for how in ("reset", "close", "end"):
            text = f"hello {nonce} [[frames=20 cut=5 how={how}]]"
            raises(openai.APIError, lambda text=text: list(self.chat(text, stream=True)))

    def upstream_error(self, nonce):
        raises(openai.APIError, lambda: list(self.chat(f"hello {nonce} [[frames=20 error=5]]", stream=True)))

    def retry(self, nonce):
        text = f"hello {nonce} [[status=429 retry-after=1 times=1]]"
        started = time.monotonic()
        expect_answer(text, self.chat(text).choices[0].message.content, nonce)
        expect(time.monotonic() - started > 0.9, "did not wait for Retry-After")

    def give_up(self, nonce):
        client = self.client.with_options(max_retries=1)
        error = raises(openai.InternalServerError, lambda: self.chat(f"hello {nonce} [[status=503 retry-after-ms=10]]", client))
        expect(error.status_code in (502, 503), f"status {error.status_code}")

    def lab_unary(self, nonce):
        answer = self.chat("Say hello.", model=self.plan["lab"]["chat"], max_tokens=16)
        expect(answer.choices[0].message.content and answer.usage.completion_tokens > 0, f"answer {answer}")

    def lab_stream(self, nonce):
        chunks = list(self.chat("Say hello.", model=self.plan["lab"]["chat"], max_tokens=16, stream=True))
        expect(all(chunk.choices for chunk in chunks), "a usage chunk that was not asked for")
        expect("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "no text")

    def lab_tools(self, nonce):
        tool = {"type": "function", "function": {"name": "get_weather", "description": "Current weather for a city", "parameters": WEATHER}}
        for prompt in LAB_TOOL_PROMPTS:
            answer = self.chat(prompt, model=self.plan["lab"]["chat"], tools=[tool], max_tokens=120, temperature=0)
            for call in answer.choices[0].message.tool_calls or []:
                expect(json.loads(call.function.arguments)["city"], f"arguments {call.function.arguments}")
                return
        raise Failed("no prompt was answered with a tool call")

    def lab_embeddings(self, nonce):
        answer = self.client.embeddings.create(model=self.plan["lab"]["chat"], input=["a gate", "a door"])
        expect(len(answer.data) == 2 and len(answer.data[0].embedding) == 576, "not two vectors of 576")


class Anthropic:
    name = "anthropic-python"

    def __init__(self, plan):
        self.plan = plan
        self.model = plan["models"]["claude"]
        self.client = anthropic.Anthropic(base_url=plan["roots"]["anthropic"], api_key=plan["keys"]["anthropic"])

    def message(self, text, client=None, **more):
        return (client or self.client).messages.create(
            model=more.pop("model", self.model), max_tokens=more.pop("max_tokens", 1000), messages=[{"role": "user", "content": text}], **more
        )

    def unary(self, nonce):
        text = f"hello {nonce}"
        answer = self.message(text)
        expect_answer(text, answer.content[0].text, nonce)
        expect(answer.stop_reason == "end_turn", answer.stop_reason)
        expect(answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, f"usage {answer.usage}")
        expect(answer._request_id, "no request-id")

    def stream(self, nonce):
        text = f"hello {nonce} [[frames=12]]"
        with self.client.messages.stream(model=self.model, max_tokens=1000, messages=[{"role": "user", "content": text}]) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()
        expect(len(pieces) == 12, f"{len(pieces)} pieces, not 12")
        expect_answer(text, "".join(pieces), nonce)
        expect(final.stop_reason == "end_turn" and final.usage.output_tokens > 0, f"end {final.stop_reason}, usage {final.usage}")

    def tools(self, nonce):
        tool = {"name": "get_weather", "input_schema": WEATHER}
        text = f"weather? {nonce}"
        question = {"role": "user", "content": text}
        first = self.client.messages.create(
            model=self.model, max_tokens=1000, messages=[question], tools=[tool], tool_choice={"type": "tool", "name": "get_weather"}
        )
        call = next(block for block in first.content if block.type == "tool_use")
        expect(call.input["city"] == digest_of(text) + ' "é" 🚀' and first.stop_reason == "tool_use", f"input {call.input}, {first.stop_reason}")
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
        second = self.client.messages.create(
            model=self.model, max_tokens=1000, tools=[tool], messages=[question, {"role": "assistant", "content": first.content}, result]
        )
        expect(second.content[0].text.startswith("digest:"), "no text after the tool result")

    def tools_stream(self, nonce):
        text = f"weather? {nonce}"
        with self.client.messages.stream(
            model=self.model, max_tokens=1000, messages=[{"role": "user", "content": text}],
            tools=[{"name": "get_weather", "input_schema": WEATHER}], tool_choice={"type": "any"},
        ) as stream:
            final = stream.get_final_message()
        calls = [block for block in final.content if block.type == "tool_use"]
        expect(len(calls) == 1 and calls[0].input["city"].startswith(digest_of(text)), f"content {final.content}")

    def parallel(self, nonce):
        text = f"call get_weather and get_time {nonce}"
        tools = [{"name": name, "input_schema": WEATHER} for name in ("get_weather", "get_time")]
        for answer in (self.message(text, tools=tools), self.streamed(text, tools=tools)):
            expect_calls(text, [(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"])

    def streamed(self, text, **more):
        more = {"model": self.model, "max_tokens": 1000, **more}
        with self.client.messages.stream(messages=[{"role": "user", "content": text}], **more) as stream:
            return stream.get_final_message()

    @staticmethod
    def text(answer):
        return "".join(block.text for block in answer.content if block.type == "text")

    def both(self, text, **more):
        return [self.message(text, **more), self.streamed(text, **more)]

    def structured(self, nonce):
        text = f"where? {nonce}"
        for answer in self.both(text, output_config={"format": {"type": "json_schema", "schema": CITY}}):
            expect_city(text, self.text(answer))

    def image(self, nonce):
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        content = [{"type": "text", "text": f"what is it? {nonce}"}, {"type": "image", "source": source}]
        expect_seen(map(self.text, self.both(content)), nonce)

    def reasoning(self, nonce):
        answers = self.both(f"think {nonce}", max_tokens=4096, thinking={"type": "enabled", "budget_tokens": 1024})
        expect_seen(map(self.text, answers), nonce)
        for answer in answers if self.plan["thinks"]["anthropic"] else []:
            expect(any(block.type == "thinking" and block.thinking for block in answer.content), f"no thoughts in {answer.content}")

    def long(self, nonce):
        text = f"hello {nonce} [[frames=300 frame-bytes=200]]"
        unary, streamed = map(self.text, self.both(text, max_tokens=20_000))
        expect_long(text, unary, streamed, nonce)

    def files(self, nonce):
        files = self.client.beta.files
        made = files.upload(file=("note.txt", nonce.encode(), "text/plain"))
        expect(files.retrieve_metadata(made.id).id == made.id, "retrieve gave another file")
        expect(made.id in [one.id for one in files.list()], "the file is not in the list")
        batch = self.client.messages.batches.create(
            requests=[{"custom_id": "one", "params": {"model": self.model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}}]
        )
        expect(batch.id in [one.id for one in self.client.messages.batches.list()], "the batch is not in the list")
        expect([line.custom_id for line in self.client.messages.batches.results(batch.id)] == ["one"], "not the results")
        files.delete(made.id)
        raises(anthropic.NotFoundError, lambda: files.retrieve_metadata(made.id))

    def count_tokens(self, nonce):
        count = self.client.messages.count_tokens(model=self.model, messages=[{"role": "user", "content": f"hello {nonce}"}])
        expect(count.input_tokens > 0, f"count {count}")

    def list_models(self, nonce):
        ids = [model.id for model in self.client.models.list()]
        expect(self.model in ids, f"models {ids}")
        expect(self.client.models.retrieve(self.model).id == self.model, "retrieve gave another model")
        raises(anthropic.NotFoundError, lambda: self.client.models.retrieve("no-such-model"))

    def bad_key(self, nonce):
        client = anthropic.Anthropic(base_url=self.plan["roots"]["anthropic"], api_key=self.plan["bad_key"])
        error = raises(anthropic.AuthenticationError, lambda: self.message(f"hello {nonce}", client))
        expect(error.status_code == 401 and self.plan["bad_key"] not in str(error), f"error {error}")

    def unknown_model(self, nonce):
        error = raises(anthropic.NotFoundError, lambda: self.message(f"hello {nonce}", model="no-such-model"))
        expect(error.body["error"]["type"] == "not_found_error", f"body {error.body}")
        expect(error.response.headers.get("x-sallyport-reason"), "no x-sallyport-reason")
        expect(error.response.headers.get("request-id"), "no request-id")

    def bad_request(self, nonce):
        raises(anthropic.BadRequestError, lambda: self.message(f"hello {nonce} [[status=400]]"))

    def cancel(self, nonce):
        stream = self.message(f"hello {nonce} [[frames=3000 gap=20ms]]", stream=True)
        for _, _ in zip(range(3), stream):
            pass
        stream.close()

    def cut(self, nonce):
        for how in ("reset", "close", "end"):
            text = f"hello {nonce} [[frames=20 cut=5 how={how}]]"
            raises(anthropic.APIError, lambda text=text: list(self.message(text, stream=True)))

    def upstream_error(self, nonce):
        raises(anthropic.APIError, lambda: list(self.message(f"hello {nonce} [[frames=20 error=5]]", stream=True)))

    def retry(self, nonce):
        text = f"hello {nonce} [[status=429 retry-after=1 times=1]]"
        started = time.monotonic()
        expect_answer(text, self.message(text).content[0].text, nonce)
        expect(time.monotonic() - started > 0.9, "did not wait for Retry-After")

    def give_up(self, nonce):
        client = self.client.with_options(max_retries=1)
        error = raises(anthropic.APIStatusError, lambda: self.message(f"hello {nonce} [[status=529 retry-after-ms=10]]", client))
        expect(error.status_code in (502, 503, 529), f"status {error.status_code}")

    def lab_unary(self, nonce):
        answer = self.message("Say hello.", model=self.plan["lab"]["claude"], max_tokens=16)
        expect(answer.content[0].text and answer.usage.output_tokens > 0, f"answer {answer}")

    def lab_stream(self, nonce):
        with self.client.messages.stream(model=self.plan["lab"]["claude"], max_tokens=16, messages=[{"role": "user", "content": "Say hello."}]) as stream:
            expect("".join(stream.text_stream), "no text")


class Gemini:
    name = "gemini-python"

    def __init__(self, plan):
        self.plan = plan
        self.model = plan["models"]["gemini"]
        self.client = self.connect()

    def connect(self, key=None, attempts=1):
        options = genai_types.HttpOptions(
            base_url=self.plan["roots"]["gemini"], retry_options=genai_types.HttpRetryOptions(attempts=attempts, initial_delay=0.1)
        )
        return genai.Client(api_key=key or self.plan["keys"]["gemini"], http_options=options)

    def generate(self, text, client=None, model=None, **config):
        return (client or self.client).models.generate_content(
            model=model or self.model, contents=text, config=genai_types.GenerateContentConfig(**config)
        )

    def chunks(self, text, model=None, **config):
        return self.client.models.generate_content_stream(
            model=model or self.model, contents=text, config=genai_types.GenerateContentConfig(**config)
        )

    def unary(self, nonce):
        text = f"hello {nonce}"
        answer = self.generate(text)
        expect_answer(text, answer.text, nonce)
        expect(answer.candidates[0].finish_reason.name == "STOP", answer.candidates[0].finish_reason)
        usage = answer.usage_metadata
        expect(usage.prompt_token_count > 0 and usage.candidates_token_count > 0, f"usage {usage}")

    def stream(self, nonce):
        text = f"hello {nonce} [[frames=12]]"
        chunks = list(self.chunks(text))
        pieces = [chunk.text for chunk in chunks if chunk.text]
        expect(len(pieces) == 12, f"{len(pieces)} pieces, not 12")
        expect_answer(text, "".join(pieces), nonce)
        expect(chunks[-1].candidates[0].finish_reason.name == "STOP", "no finish reason")
        expect(chunks[-1].usage_metadata.candidates_token_count > 0, f"usage {chunks[-1].usage_metadata}")

    def weather(self, **more):
        declaration = genai_types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
        calling = genai_types.FunctionCallingConfig(mode="ANY", **more)
        return {
            "tools": [genai_types.Tool(function_declarations=[declaration])],
            "tool_config": genai_types.ToolConfig(function_calling_config=calling),
            "automatic_function_calling": genai_types.AutomaticFunctionCallingConfig(disable=True),
        }

    def tools(self, nonce):
        text = f"weather? {nonce}"
        config = self.weather(allowed_function_names=["get_weather"])
        first = self.generate(text, **config)
        [call] = first.function_calls
        expect(call.name == "get_weather" and call.args["city"] == digest_of(text) + ' "é" 🚀', f"call {call}")
        result = genai_types.Part(function_response=genai_types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"}))
        turns = [
            genai_types.Content(role="user", parts=[genai_types.Part(text=text)]), first.candidates[0].content,
            genai_types.Content(role="user", parts=[result]),
        ]
        config["tool_config"].function_calling_config = genai_types.FunctionCallingConfig(mode="AUTO")
        second = self.generate(turns, **config)
        expect(second.text.startswith("digest:"), "no text after the tool result")

    def tools_stream(self, nonce):
        text = f"weather? {nonce}"
        calls = [call for chunk in self.chunks(text, **self.weather()) for call in chunk.function_calls or []]
        expect(len(calls) == 1 and calls[0].args["city"].startswith(digest_of(text)), f"calls {calls}")

    def parallel(self, nonce):
        text = f"call get_weather and get_time {nonce}"
        declarations = [genai_types.FunctionDeclaration(name=name, parameters_json_schema=WEATHER) for name in ("get_weather", "get_time")]
        config = {
            "tools": [genai_types.Tool(function_declarations=declarations)],
            "automatic_function_calling": genai_types.AutomaticFunctionCallingConfig(disable=True),
        }
        chunks = list(self.chunks(text, **config))
        for calls in (self.generate(text, **config).function_calls, [call for chunk in chunks for call in chunk.function_calls or []]):
            expect_calls(text, [(call.id, call.name, call.args) for call in calls])

    def both(self, text, **config):
        """The parts of a whole answer, and those of a streamed one."""
        chunks = list(self.chunks(text, **config))
        whole = self.generate(text, **config).candidates[0].content.parts
        return whole, [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]

    @staticmethod
    def text(parts):
        return "".join(part.text or "" for part in parts if not part.thought)

    def structured(self, nonce):
        text = f"where? {nonce}"
        for parts in self.both(text, response_mime_type="application/json", response_json_schema=CITY):
            expect_city(text, self.text(parts))

    def image(self, nonce):
        picture = genai_types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png")
        expect_seen(map(self.text, self.both([f"what is it? {nonce}", picture])), nonce)

    def reasoning(self, nonce):
        answers = self.both(f"think {nonce}", thinking_config=genai_types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
        expect_seen(map(self.text, answers), nonce)
        for parts in answers if self.plan["thinks"]["gemini"] else []:
            expect(any(part.thought and part.text for part in parts), f"no thoughts in {parts}")

    def long(self, nonce):
        text = f"hello {nonce} [[frames=300 frame-bytes=200]]"
        unary, streamed = map(self.text, self.both(text))
        expect_long(text, unary, streamed, nonce)

    def count_tokens(self, nonce):
        count = self.client.models.count_tokens(model=self.model, contents=f"hello {nonce}")
        expect(count.total_tokens > 0, f"count {count}")

    def embeddings(self, nonce):
        answer = self.client.models.embed_content(model=self.plan["models"]["gemini_embed"], contents=f"one {nonce}")
        expect(len(answer.embeddings) == 1 and len(answer.embeddings[0].values) > 0, f"answer {answer}")

    def list_models(self, nonce):
        names = [model.name for model in self.client.models.list(config={"query_base": True})]
        expect(f"models/{self.model}" in names, f"models {names}")
        expect(self.client.models.get(model=self.model).name == f"models/{self.model}", "get gave another model")

    def bad_key(self, nonce):
        error = raises(genai_errors.ClientError, lambda: self.generate(f"hello {nonce}", self.connect(self.plan["bad_key"])))
        expect(error.code == 401 and self.plan["bad_key"] not in str(error), f"error {error}")

    def unknown_model(self, nonce):
        error = raises(genai_errors.ClientError, lambda: self.generate(f"hello {nonce}", model="no-such-model"))
        expect(error.code == 404 and error.status == "NOT_FOUND", f"error {error}")

    def bad_request(self, nonce):
        error = raises(genai_errors.ClientError, lambda: self.generate(f"hello {nonce} [[status=400]]"))
        expect(error.code == 400 and error.message, f"error {error}")

    def cancel(self, nonce):
        stream = self.chunks(f"hello {nonce} [[frames=3000 gap=20ms]]")
        for _, _ in zip(range(3), stream):
            pass
        stream.close()

    def cut(self, nonce):
        for how in ("reset", "close", "end"):
            text = f"hello {nonce} [[frames=20 cut=5 how={how}]]"
            raises(genai_errors.APIError, lambda text=text: list(self.chunks(text)))

    def upstream_error(self, nonce):
        raises(genai_errors.APIError, lambda: list(self.chunks(f"hello {nonce} [[frames=20 error=5]]")))

    def retry(self, nonce):
        text = f"hello {nonce} [[status=429 retry-after=1 times=1]]"
        expect_answer(text, self.generate(text, self.connect(attempts=3)).text, nonce)

    def give_up(self, nonce):
        raises(genai_errors.ServerError, lambda: self.generate(f"hello {nonce} [[status=503]]", self.connect(attempts=2)))

    def lab_unary(self, nonce):
        answer = self.generate("Say hello.", model=self.plan["lab"]["gemini"], max_output_tokens=16)
        expect(answer.text and answer.usage_metadata.candidates_token_count > 0, f"answer {answer}")

    def lab_stream(self, nonce):
        expect("".join(chunk.text or "" for chunk in self.chunks("Say hello.", model=self.plan["lab"]["gemini"], max_output_tokens=16)), "no text")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    for kind in (OpenAI, Anthropic, Gemini):
        suite = kind(plan)
        vendor = kind.name.split("-")[0]
        for case in plan["cases"][vendor] + plan["more"].get(vendor, []):
            nonce = f"nonce-{secrets.token_hex(8)}"
            started = time.monotonic()
            try:
                getattr(suite, case)(nonce)
                ok, detail = True, ""
            except Exception as error:  # any exception is a failed case, with its type
                ok, detail = False, f"{type(error).__name__}: {error}"
            seconds = round(time.monotonic() - started, 2)
            print(json.dumps({"client": kind.name, "case": case, "ok": ok, "detail": detail, "nonce": nonce, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
