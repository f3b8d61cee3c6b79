// The official Node SDKs against a running Sallyport: one JSON line a case on standard output.
//
// Run by test/sdk/run, which also judges what the upstream saw. The plan (addresses, keys, model names) is
// the JSON file named by the first argument. The cases are those of test/sdk/python/clients.py.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { ApiError, GoogleGenAI } from "@google/genai";
import { generateText, jsonSchema, Output, streamText, tool as aiTool } from "ai";
import OpenAI from "openai";

const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const place = { ...weather, additionalProperties: false }; // what a structured answer must be
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const labToolPrompts = ["Call get_weather for Lisbon.", "Weather in Oslo now?", "Weather in Rome?", "Call get_weather for Berlin."];

const digestOf = (text) => createHash("sha256").update(`user: ${text}\n`).digest("hex").slice(0, 16);
const user = (text) => ({ role: "user", content: text });

function expectAnswer(text, answer, nonce) {
  const start = `digest:${digestOf(text)} nonce:${nonce.replace("nonce-", "")}`;
  assert.ok(answer.startsWith(start), `${JSON.stringify(answer)} does not start with ${start}`);
}

/** Expects calls of get_weather and of get_time, in this order, for the user's text. */
function expectBothCalls(text, calls) {
  const seen = JSON.stringify(calls);
  assert.deepEqual(calls.map((call) => call.name), ["get_weather", "get_time"], seen);
  for (const call of calls) assert.ok(call.input.city.startsWith(digestOf(text)), seen);
}

/** Expects two ids, one unlike the other. */
function expectIds(calls) {
  const ids = calls.map((call) => call.id);
  assert.ok(ids.length === 2 && ids[0] && ids[1] && ids[0] !== ids[1], `ids ${JSON.stringify(ids)}`);
}

function expectPlace(text, json) {
  const answer = JSON.parse(json);
  assert.deepEqual(Object.keys(answer), ["city"]);
  assert.ok(answer.city.startsWith(digestOf(text)), json);
}

/** Expects an answer to a prompt that is more than its text, as the digest is made of all of it. */
function expectDigest(answer, nonce) {
  assert.ok(answer.startsWith("digest:") && answer.includes(nonce.replace("nonce-", "")), `answer ${JSON.stringify(answer)}`);
}

function expectLong(text, unary, streamed, nonce) {
  for (const [how, answer] of Object.entries({ unary, streamed })) {
    const start = answer.slice(0, 100);
    expectAnswer(text, start, nonce);
    assert.ok(answer.length >= 50000, `${how}: ${answer.length} characters, which start with ${start}`);
  }
  assert.ok(unary === streamed, "the streamed text is not the unary text");
}

async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Awaits the call and returns its error, which must be of the given class. */
async function raises(kind, call) {
  let value;
  try {
    value = await call();
  } catch (error) {
    assert.ok(error instanceof kind, `raised ${error?.constructor?.name}, not ${kind.name}: ${error}`);
    return error;
  }
  assert.fail(`ended cleanly instead of raising ${kind.name}: ${JSON.stringify(value)?.slice(0, 200)}`);
}

async function readThreeAndLeave(stream) {
  let seen = 0;
  for await (const _ of stream) if (++seen === 3) break;
  assert.equal(seen, 3);
}

function openai(plan) {
  const baseURL = plan.roots.openai + "/v1";
  const client = new OpenAI({ baseURL, apiKey: plan.keys.openai });
  const { chat: model, embed } = plan.models;
  const lab = plan.lab.chat;
  const tool = { type: "function", function: { name: "get_weather", description: "Current weather for a city", parameters: weather } };
  const both = [tool, { type: "function", function: { name: "get_time", description: "Current time in a city", parameters: weather } }];
  const chat = (text, more = {}, c = client) => c.chat.completions.create({ model, messages: [user(text)], ...more });
  /** The text of an unary and of a streamed answer; a text may be parts. */
  const bothTexts = async (text, more = {}) => {
    const answer = await chat(text, more);
    const chunks = await collect(await chat(text, { ...more, stream: true }));
    return [answer.choices[0].message.content, chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")];
  };

  return {
    async unary(nonce) {
      const text = `hello ${nonce}`;
      const answer = await chat(text);
      expectAnswer(text, answer.choices[0].message.content, nonce);
      assert.equal(answer.choices[0].finish_reason, "stop");
      assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
      assert.ok(answer._request_id, "no x-request-id");
    },
    async stream(nonce) {
      const text = `hello ${nonce} [[frames=12]]`;
      const chunks = await collect(await chat(text, { stream: true }));
      assert.ok(chunks.every((chunk) => chunk.choices.length > 0), "a usage chunk that was not asked for");
      const pieces = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
      assert.equal(pieces.length, 12);
      expectAnswer(text, pieces.join(""), nonce);
      assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    },
    async stream_usage(nonce) {
      const chunks = await collect(await chat(`hello ${nonce}`, { stream: true, stream_options: { include_usage: true } }));
      assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
      assert.ok(chunks.at(-1).usage.completion_tokens > 0);
      assert.deepEqual(chunks.at(-1).choices, []);
    },
    async tools(nonce) {
      const question = user(`weather? ${nonce}`);
      const first = await client.chat.completions.create({
        model, messages: [question], tools: [tool], tool_choice: { type: "function", function: { name: "get_weather" } },
      });
      const call = first.choices[0].message.tool_calls[0];
      assert.equal(JSON.parse(call.function.arguments).city, digestOf(question.content) + ' "é" 🚀');
      const second = await client.chat.completions.create({
        model, tools: [tool], messages: [question, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }],
      });
      assert.ok(second.choices[0].message.content.startsWith("digest:"), "no text after the tool result");
    },
    async tools_stream(nonce) {
      const text = `weather? ${nonce}`;
      const runner = client.chat.completions.stream({ model, messages: [user(text)], tools: [tool], tool_choice: "required" });
      const calls = (await runner.finalChatCompletion()).choices[0].message.tool_calls;
      assert.equal(calls.length, 1);
      assert.ok(JSON.parse(calls[0].function.arguments).city.startsWith(digestOf(text)), JSON.stringify(calls));
    },
    async parallel(nonce) {
      const text = `call get_weather and get_time ${nonce}`;
      const answer = await chat(text, { tools: both });
      const streamed = [];
      for await (const chunk of await chat(text, { tools: both, stream: true })) {
        for (const { index, id, function: part } of chunk.choices[0]?.delta.tool_calls ?? []) {
          const call = (streamed[index] ??= { id: "", function: { name: "", arguments: "" } });
          call.id += id ?? "";
          call.function.name += part?.name ?? "";
          call.function.arguments += part?.arguments ?? "";
        }
      }
      for (const made of [answer.choices[0].message.tool_calls, streamed]) {
        const calls = made.map((call) => ({ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) }));
        expectBothCalls(text, calls);
        expectIds(calls);
      }
    },
    async structured(nonce) {
      const text = `where? ${nonce}`;
      const format = { type: "json_schema", json_schema: { name: "place", strict: true, schema: place } };
      for (const answer of await bothTexts(text, { response_format: format })) expectPlace(text, answer);
    },
    async image(nonce) {
      const parts = [{ type: "text", text: `what is this? ${nonce}` }, { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }];
      for (const answer of await bothTexts(parts)) expectDigest(answer, nonce);
    },
    async reasoning(nonce) {
      const text = `hello ${nonce}`;
      for (const answer of await bothTexts(text, { reasoning_effort: "low" })) expectAnswer(text, answer, nonce);
    },
    async long(nonce) {
      const text = `hello ${nonce} [[frames=300 frame-bytes=200]]`;
      expectLong(text, ...(await bothTexts(text)), nonce);
    },
    async responses(nonce) {
      const answer = await client.responses.create({ model, input: `hello ${nonce}` });
      assert.ok(answer.output_text.startsWith("digest:"), answer.output_text);
      assert.equal(answer.status, "completed");
      const events = await collect(await client.responses.create({ model, input: `hello ${nonce}`, stream: true }));
      assert.equal(events[0].type, "response.created");
      assert.equal(events.at(-1).type, "response.completed");
      assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    },
    async responses_tools(nonce) {
      const tool = { type: "function", name: "get_weather", parameters: weather, strict: false };
      const text = `weather? ${nonce}`;
      const question = { role: "user", content: text };
      const first = await client.responses.create({ model, input: [question], tools: [tool], tool_choice: "required" });
      const call = first.output.find((item) => item.type === "function_call");
      assert.equal(JSON.parse(call.arguments).city, digestOf(text) + ' "é" 🚀');
      const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
      const second = await client.responses.create({ model, input: [question, ...first.output, result], tools: [tool] });
      assert.ok(second.output_text.startsWith("digest:"), "no text after the tool result");
      const third = await client.responses.create({ model, input: [question, ...first.output, result, ...second.output, question], tools: [tool] });
      assert.ok(third.output_text.startsWith("digest:"), "no text in the third turn");
    },
    async embeddings(nonce) {
      const answer = await client.embeddings.create({ model: embed, input: [`a ${nonce}`, `b ${nonce}`] });
      assert.equal(answer.data.length, 2);
      for (const item of answer.data) assert.ok(Math.abs(Math.hypot(...item.embedding) - 1) < 1e-3);
      const plain = await client.embeddings.create({ model: embed, input: `a ${nonce}`, encoding_format: "float" });
      const same = plain.data[0].embedding.every((x, i) => Math.abs(x - answer.data[0].embedding[i]) < 1e-6);
      assert.ok(same, "base64 and float differ");
      const raw = await client.embeddings.create({ model: embed, input: `a ${nonce}`, encoding_format: "base64" });
      assert.equal(typeof raw.data[0].embedding, "string");
    },
    async list_models() {
      const ids = (await collect(client.models.list())).map((item) => item.id);
      assert.ok(ids.includes(model) && ids.includes(embed), `models ${ids}`);
      assert.equal((await client.models.retrieve(model)).id, model);
      await raises(OpenAI.NotFoundError, () => client.models.retrieve("no-such-model"));
    },
    async bad_key(nonce) {
      const error = await raises(OpenAI.AuthenticationError, () => chat(`hello ${nonce}`, {}, new OpenAI({ baseURL, apiKey: plan.bad_key })));
      assert.equal(error.status, 401);
      assert.ok(!String(error).includes(plan.bad_key), "the error repeats the key");
    },
    async unknown_model(nonce) {
      const error = await raises(OpenAI.NotFoundError, () => chat(`hello ${nonce}`, { model: "no-such-model" }));
      assert.ok(error.headers.get("x-sallyport-reason"), "no x-sallyport-reason");
    },
    async bad_request(nonce) {
      await raises(OpenAI.BadRequestError, () => chat(`hello ${nonce} [[status=400]]`));
    },
    async cancel(nonce) {
      await readThreeAndLeave(await chat(`hello ${nonce} [[frames=3000 gap=20ms]]`, { stream: true }));
    },
    async cut(nonce) {
      for (const how of ["reset", "close", "end"]) {
        await raises(OpenAI.APIError, async () => collect(await chat(`hello ${nonce} [[frames=20 cut=5 how=${how}]]`, { stream: true })));
      }
    },
    async upstream_error(nonce) {
      await raises(OpenAI.APIError, async () => collect(await chat(`hello ${nonce} [[frames=20 error=5]]`, { stream: true })));
    },
    async retry(nonce) {
      const text = `hello ${nonce} [[status=429 retry-after=1 times=1]]`;
      const started = performance.now();
      expectAnswer(text, (await chat(text)).choices[0].message.content, nonce);
      assert.ok(performance.now() - started > 900, "did not wait for Retry-After");
    },
    async give_up(nonce) {
      const once = client.withOptions({ maxRetries: 1 });
      await raises(OpenAI.InternalServerError, () => chat(`hello ${nonce} [[status=503 retry-after-ms=10]]`, {}, once));
    },
    async lab_unary() {
      const answer = await chat("Say hello.", { model: lab, max_tokens: 16 });
      assert.ok(answer.choices[0].message.content && answer.usage.completion_tokens > 0);
    },
    async lab_stream() {
      const chunks = await collect(await chat("Say hello.", { model: lab, max_tokens: 16, stream: true }));
      assert.ok(chunks.every((chunk) => chunk.choices.length > 0), "a usage chunk that was not asked for");
      assert.ok(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), "no text");
    },
    async lab_tools() {
      for (const prompt of labToolPrompts) {
        const answer = await chat(prompt, { model: lab, tools: [tool], max_tokens: 120, temperature: 0 });
        const call = answer.choices[0].message.tool_calls?.[0];
        if (call) return assert.ok(JSON.parse(call.function.arguments).city, call.function.arguments);
      }
      assert.fail("no prompt was answered with a tool call");
    },
    async lab_embeddings() {
      const answer = await client.embeddings.create({ model: lab, input: ["a gate", "a door"] });
      assert.deepEqual(answer.data.map((item) => item.embedding.length), [576, 576]);
    },
  };
}

function anthropic(plan) {
  const baseURL = plan.roots.anthropic;
  const client = new Anthropic({ baseURL, apiKey: plan.keys.anthropic });
  const model = plan.models.claude;
  const tool = { name: "get_weather", input_schema: weather };
  const both = [tool, { name: "get_time", input_schema: weather }];
  const message = (text, more = {}, c = client) => c.messages.create({ model, max_tokens: 1000, messages: [user(text)], ...more });
  /** An unary and a streamed message; a text may be blocks. */
  const bothMessages = async (text, more = {}) => [
    await message(text, more), await client.messages.stream({ model, max_tokens: 1000, messages: [user(text)], ...more }).finalMessage(),
  ];
  const textOf = (answer) => answer.content.filter((block) => block.type === "text").map((block) => block.text).join("");

  return {
    async unary(nonce) {
      const text = `hello ${nonce}`;
      const answer = await message(text);
      expectAnswer(text, answer.content[0].text, nonce);
      assert.equal(answer.stop_reason, "end_turn");
      assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
      assert.ok(answer._request_id, "no request-id");
    },
    async stream(nonce) {
      const text = `hello ${nonce} [[frames=12]]`;
      const pieces = [];
      const stream = client.messages.stream({ model, max_tokens: 1000, messages: [user(text)] }).on("text", (piece) => pieces.push(piece));
      const final = await stream.finalMessage();
      assert.equal(pieces.length, 12);
      expectAnswer(text, pieces.join(""), nonce);
      assert.equal(final.stop_reason, "end_turn");
      assert.ok(final.usage.output_tokens > 0);
    },
    async tools(nonce) {
      const question = user(`weather? ${nonce}`);
      const first = await client.messages.create({ model, max_tokens: 1000, messages: [question], tools: [tool], tool_choice: { type: "tool", name: "get_weather" } });
      const call = first.content.find((block) => block.type === "tool_use");
      assert.equal(call.input.city, digestOf(question.content) + ' "é" 🚀');
      assert.equal(first.stop_reason, "tool_use");
      const second = await client.messages.create({
        model, max_tokens: 1000, tools: [tool],
        messages: [question, { role: "assistant", content: first.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "sunny" }] }],
      });
      assert.ok(second.content[0].text.startsWith("digest:"), "no text after the tool result");
    },
    async tools_stream(nonce) {
      const text = `weather? ${nonce}`;
      const final = await client.messages.stream({ model, max_tokens: 1000, messages: [user(text)], tools: [tool], tool_choice: { type: "any" } }).finalMessage();
      const calls = final.content.filter((block) => block.type === "tool_use");
      assert.equal(calls.length, 1);
      assert.ok(calls[0].input.city.startsWith(digestOf(text)), JSON.stringify(calls));
    },
    async parallel(nonce) {
      const text = `call get_weather and get_time ${nonce}`;
      const answer = await message(text, { tools: both });
      const streamed = [];
      for await (const event of await message(text, { tools: both, stream: true })) {
        if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
          streamed[event.index] = { id: event.content_block.id, name: event.content_block.name, json: "" };
        } else if (event.type === "content_block_delta" && event.delta.type === "input_json_delta") {
          streamed[event.index].json += event.delta.partial_json;
        }
      }
      const parsed = streamed.filter(Boolean).map(({ id, name, json }) => ({ id, name, input: JSON.parse(json) }));
      for (const calls of [answer.content.filter((block) => block.type === "tool_use"), parsed]) {
        expectBothCalls(text, calls);
        expectIds(calls);
      }
    },
    async structured(nonce) {
      const text = `where? ${nonce}`;
      const format = { type: "json_schema", schema: place };
      for (const answer of await bothMessages(text, { output_config: { format } })) expectPlace(text, textOf(answer));
    },
    async image(nonce) {
      const source = { type: "base64", media_type: "image/png", data: picture };
      for (const answer of await bothMessages([{ type: "text", text: `what is this? ${nonce}` }, { type: "image", source }])) expectDigest(textOf(answer), nonce);
    },
    async reasoning(nonce) {
      const text = `hello ${nonce}`;
      for (const answer of await bothMessages(text, { max_tokens: 4096, thinking: { type: "enabled", budget_tokens: 1024 } })) {
        expectAnswer(text, textOf(answer), nonce);
        const thought = answer.content.some((block) => block.type === "thinking" && block.thinking);
        assert.ok(thought || !plan.thinks?.anthropic, `no thinking block: ${JSON.stringify(answer.content)}`);
      }
    },
    async long(nonce) {
      const text = `hello ${nonce} [[frames=300 frame-bytes=200]]`;
      expectLong(text, ...(await bothMessages(text, { max_tokens: 20000 })).map(textOf), nonce);
    },
    async count_tokens(nonce) {
      assert.ok((await client.messages.countTokens({ model, messages: [user(`hello ${nonce}`)] })).input_tokens > 0);
    },
    async list_models() {
      const ids = (await collect(client.models.list())).map((item) => item.id);
      assert.ok(ids.includes(model), `models ${ids}`);
      assert.equal((await client.models.retrieve(model)).id, model);
      await raises(Anthropic.NotFoundError, () => client.models.retrieve("no-such-model"));
    },
    async bad_key(nonce) {
      const error = await raises(Anthropic.AuthenticationError, () => message(`hello ${nonce}`, {}, new Anthropic({ baseURL, apiKey: plan.bad_key })));
      assert.equal(error.status, 401);
      assert.ok(!String(error).includes(plan.bad_key), "the error repeats the key");
    },
    async unknown_model(nonce) {
      const error = await raises(Anthropic.NotFoundError, () => message(`hello ${nonce}`, { model: "no-such-model" }));
      assert.equal(error.error.error.type, "not_found_error");
      assert.ok(error.headers.get("x-sallyport-reason"), "no x-sallyport-reason");
      assert.ok(error.requestID, "no request-id");
    },
    async bad_request(nonce) {
      await raises(Anthropic.BadRequestError, () => message(`hello ${nonce} [[status=400]]`));
    },
    async cancel(nonce) {
      await readThreeAndLeave(await message(`hello ${nonce} [[frames=3000 gap=20ms]]`, { stream: true }));
    },
    async cut(nonce) {
      for (const how of ["reset", "close", "end"]) {
        await raises(Anthropic.APIError, async () => collect(await message(`hello ${nonce} [[frames=20 cut=5 how=${how}]]`, { stream: true })));
      }
    },
    async upstream_error(nonce) {
      await raises(Anthropic.APIError, async () => collect(await message(`hello ${nonce} [[frames=20 error=5]]`, { stream: true })));
    },
    async retry(nonce) {
      const text = `hello ${nonce} [[status=429 retry-after=1 times=1]]`;
      const started = performance.now();
      expectAnswer(text, (await message(text)).content[0].text, nonce);
      assert.ok(performance.now() - started > 900, "did not wait for Retry-After");
    },
    async give_up(nonce) {
      const once = client.withOptions({ maxRetries: 1 });
      await raises(Anthropic.InternalServerError, () => message(`hello ${nonce} [[status=529 retry-after-ms=10]]`, {}, once));
    },
    async lab_unary() {
      const answer = await message("Say hello.", { model: plan.lab.claude, max_tokens: 16 });
      assert.ok(answer.content[0].text && answer.usage.output_tokens > 0);
    },
    async lab_stream() {
      const stream = client.messages.stream({ model: plan.lab.claude, max_tokens: 16, messages: [user("Say hello.")] });
      assert.ok(await stream.finalText(), "no text");
    },
  };
}

function gemini(plan) {
  const connect = (apiKey = plan.keys.gemini, attempts = 1) =>
    new GoogleGenAI({ apiKey, httpOptions: { baseUrl: plan.roots.gemini, retryOptions: { attempts } } });
  const client = connect();
  const model = plan.models.gemini;
  const generate = (contents, config = {}, c = client, m = model) => c.models.generateContent({ model: m, contents, config });
  const chunks = (contents, config = {}, m = model) => client.models.generateContentStream({ model: m, contents, config });
  const calling = (mode, more = {}) => ({
    tools: [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: weather }] }],
    toolConfig: { functionCallingConfig: { mode, ...more } },
  });
  /** The parts of an unary and of a streamed answer. */
  const bothParts = async (contents, config = {}) => {
    const answer = await generate(contents, config);
    const streamed = await collect(await chunks(contents, config));
    return [[answer], streamed].map((all) => all.flatMap((chunk) => chunk.candidates?.[0].content?.parts ?? []));
  };
  const textOf = (parts) => parts.filter((part) => !part.thought).map((part) => part.text ?? "").join("");

  return {
    async unary(nonce) {
      const text = `hello ${nonce}`;
      const answer = await generate(text);
      expectAnswer(text, answer.text, nonce);
      assert.equal(answer.candidates[0].finishReason, "STOP");
      assert.ok(answer.usageMetadata.promptTokenCount > 0 && answer.usageMetadata.candidatesTokenCount > 0);
    },
    async stream(nonce) {
      const text = `hello ${nonce} [[frames=12]]`;
      const all = await collect(await chunks(text));
      const pieces = all.map((chunk) => chunk.text).filter(Boolean);
      assert.equal(pieces.length, 12);
      expectAnswer(text, pieces.join(""), nonce);
      assert.equal(all.at(-1).candidates[0].finishReason, "STOP");
      assert.ok(all.at(-1).usageMetadata.candidatesTokenCount > 0);
    },
    async tools(nonce) {
      const text = `weather? ${nonce}`;
      const first = await generate(text, calling("ANY", { allowedFunctionNames: ["get_weather"] }));
      const [call] = first.functionCalls;
      assert.equal(call.args.city, digestOf(text) + ' "é" 🚀');
      const turns = [
        { role: "user", parts: [{ text }] }, first.candidates[0].content,
        { role: "user", parts: [{ functionResponse: { id: call.id, name: call.name, response: { output: "sunny" } } }] },
      ];
      const second = await generate(turns, calling("AUTO"));
      assert.ok(second.text.startsWith("digest:"), "no text after the tool result");
    },
    async tools_stream(nonce) {
      const text = `weather? ${nonce}`;
      const calls = (await collect(await chunks(text, calling("ANY")))).flatMap((chunk) => chunk.functionCalls ?? []);
      assert.equal(calls.length, 1);
      assert.ok(calls[0].args.city.startsWith(digestOf(text)), JSON.stringify(calls));
    },
    async parallel(nonce) {
      const text = `call get_weather and get_time ${nonce}`;
      const functionDeclarations = ["get_weather", "get_time"].map((name) => ({ name, parametersJsonSchema: weather }));
      for (const parts of await bothParts(text, { tools: [{ functionDeclarations }] })) {
        const calls = parts.filter((part) => part.functionCall).map(({ functionCall: { id, name, args } }) => ({ id, name, input: args }));
        expectBothCalls(text, calls);
        if (calls.some((call) => call.id)) expectIds(calls); // older models give none
      }
    },
    async structured(nonce) {
      const text = `where? ${nonce}`;
      for (const parts of await bothParts(text, { responseMimeType: "application/json", responseJsonSchema: place })) expectPlace(text, textOf(parts));
    },
    async image(nonce) {
      const turn = { role: "user", parts: [{ text: `what is this? ${nonce}` }, { inlineData: { mimeType: "image/png", data: picture } }] };
      for (const parts of await bothParts([turn])) expectDigest(textOf(parts), nonce);
    },
    async reasoning(nonce) {
      const text = `hello ${nonce}`;
      for (const parts of await bothParts(text, { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } })) {
        expectAnswer(text, textOf(parts), nonce);
        assert.ok(parts.some((part) => part.thought && part.text) || !plan.thinks?.gemini, `no thought: ${JSON.stringify(parts)}`);
      }
    },
    async long(nonce) {
      const text = `hello ${nonce} [[frames=300 frame-bytes=200]]`;
      expectLong(text, ...(await bothParts(text)).map(textOf), nonce);
    },
    async count_tokens(nonce) {
      assert.ok((await client.models.countTokens({ model, contents: `hello ${nonce}` })).totalTokens > 0);
    },
    async embeddings(nonce) {
      const answer = await client.models.embedContent({ model: plan.models.gemini_embed, contents: `one ${nonce}` });
      assert.ok(answer.embeddings.length === 1 && answer.embeddings[0].values.length > 0);
    },
    async list_models() {
      const names = (await collect(await client.models.list())).map((item) => item.name);
      assert.ok(names.includes(`models/${model}`), `models ${names}`);
      assert.equal((await client.models.get({ model })).name, `models/${model}`);
    },
    async bad_key(nonce) {
      const error = await raises(ApiError, () => generate(`hello ${nonce}`, {}, connect(plan.bad_key)));
      assert.equal(error.status, 401);
      assert.ok(!String(error).includes(plan.bad_key), "the error repeats the key");
    },
    async unknown_model(nonce) {
      const error = await raises(ApiError, () => generate(`hello ${nonce}`, {}, client, "no-such-model"));
      assert.equal(error.status, 404);
      assert.equal(JSON.parse(error.message).error.status, "NOT_FOUND");
    },
    async bad_request(nonce) {
      assert.equal((await raises(ApiError, () => generate(`hello ${nonce} [[status=400]]`))).status, 400);
    },
    async cancel(nonce) {
      const leave = new AbortController();
      const stream = await chunks(`hello ${nonce} [[frames=3000 gap=20ms]]`, { abortSignal: leave.signal });
      let seen = 0;
      await assert.rejects(async () => {
        for await (const _ of stream) if (++seen === 3) leave.abort();
      });
    },
    async cut(nonce) {
      for (const how of ["reset", "close", "end"]) {
        await assert.rejects(async () => collect(await chunks(`hello ${nonce} [[frames=20 cut=5 how=${how}]]`)));
      }
    },
    async upstream_error(nonce) {
      await assert.rejects(async () => collect(await chunks(`hello ${nonce} [[frames=20 error=5]]`)));
    },
    async retry(nonce) {
      const text = `hello ${nonce} [[status=429 retry-after=1 times=1]]`;
      expectAnswer(text, (await generate(text, {}, connect(undefined, 3))).text, nonce);
    },
    async give_up(nonce) {
      await assert.rejects(() => generate(`hello ${nonce} [[status=503]]`, {}, connect(undefined, 2)));
    },
    async lab_unary() {
      const answer = await generate("Say hello.", { maxOutputTokens: 16 }, client, plan.lab.gemini);
      assert.ok(answer.text && answer.usageMetadata.candidatesTokenCount > 0);
    },
    async lab_stream() {
      const all = await collect(await chunks("Say hello.", { maxOutputTokens: 16 }, plan.lab.gemini));
      assert.ok(all.map((chunk) => chunk.text ?? "").join(""), "no text");
    },
  };
}

/** The AI SDK, whose providers speak each vendor's API with code of their own. */
function aiSDK(plan, vendor) {
  const apiKey = plan.keys[vendor];
  const [provider, name] = {
    openai: () => [createOpenAI({ baseURL: `${plan.roots.openai}/v1`, apiKey }), plan.models.chat],
    anthropic: () => [createAnthropic({ baseURL: `${plan.roots.anthropic}/v1`, apiKey }), plan.models.claude],
    gemini: () => [createGoogleGenerativeAI({ baseURL: `${plan.roots.gemini}/v1beta`, apiKey }), plan.models.gemini],
  }[vendor]();
  const model = vendor === "openai" ? provider.chat(name) : provider(name);
  const tools = { get_weather: aiTool({ inputSchema: jsonSchema(weather) }) };
  const toolChoice = { type: "tool", toolName: "get_weather" };
  const once = { maxRetries: 0 };
  const stream = (options) => {
    let failure;
    const result = streamText({ ...once, ...options, onError: ({ error }) => (failure = error) });
    return { result, failed: () => failure };
  };
  const both = { ...tools, get_time: aiTool({ inputSchema: jsonSchema(weather) }) };
  const thinking = {
    openai: { providerOptions: { openai: { reasoningEffort: "low" } } },
    anthropic: { providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } }, maxOutputTokens: 4096 },
    gemini: { providerOptions: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } } },
  }[vendor];
  // The SDK would ask by a tool, as it cannot tell from the model's name here that Anthropic's own way will do.
  const native = { providerOptions: { anthropic: { structuredOutputMode: "outputFormat" } } };

  return {
    async unary(nonce) {
      const text = `hello ${nonce}`;
      const answer = await generateText({ ...once, model, prompt: text });
      expectAnswer(text, answer.text, nonce);
      assert.equal(answer.finishReason, "stop");
      assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0, JSON.stringify(answer.usage));
    },
    async stream(nonce) {
      const text = `hello ${nonce} [[frames=12]]`;
      const { result } = stream({ model, prompt: text });
      const pieces = await collect(result.textStream);
      assert.equal(pieces.length, 12);
      expectAnswer(text, pieces.join(""), nonce);
      assert.equal(await result.finishReason, "stop");
      assert.ok((await result.usage).outputTokens > 0);
    },
    async tools(nonce) {
      const question = { role: "user", content: `weather? ${nonce}` };
      const first = await generateText({ ...once, model, messages: [question], tools, toolChoice });
      const [call] = first.toolCalls;
      assert.equal(call.input.city, digestOf(question.content) + ' "é" 🚀');
      const result = { role: "tool", content: [{ type: "tool-result", toolCallId: call.toolCallId, toolName: "get_weather", output: { type: "text", value: "sunny" } }] };
      const second = await generateText({ ...once, model, messages: [question, ...first.response.messages, result], tools });
      assert.ok(second.text.startsWith("digest:"), "no text after the tool result");
    },
    async tools_stream(nonce) {
      const text = `weather? ${nonce}`;
      const { result } = stream({ model, prompt: text, tools, toolChoice });
      const calls = await result.toolCalls;
      assert.equal(calls.length, 1);
      assert.ok(calls[0].input.city.startsWith(digestOf(text)), JSON.stringify(calls));
    },
    async parallel(nonce) {
      const text = `call get_weather and get_time ${nonce}`;
      const answer = await generateText({ ...once, model, prompt: text, tools: both });
      const deltas = {};
      const streamed = [];
      for await (const part of stream({ model, prompt: text, tools: both }).result.fullStream) {
        if (part.type === "tool-input-start") deltas[part.id] = "";
        if (part.type === "tool-input-delta") deltas[part.id] += part.delta;
        if (part.type === "tool-call") streamed.push(part);
      }
      for (const made of [answer.toolCalls, streamed]) {
        const calls = made.map((call) => ({ id: call.toolCallId, name: call.toolName, input: call.input }));
        expectBothCalls(text, calls);
        expectIds(calls);
      }
      for (const call of streamed) assert.deepEqual(JSON.parse(deltas[call.toolCallId]), call.input);
    },
    async structured(nonce) {
      const text = `where? ${nonce}`;
      const options = { ...native, model, prompt: text, output: Output.object({ schema: jsonSchema(place) }) };
      const answer = await generateText({ ...once, ...options });
      const { result } = stream(options);
      expectPlace(text, (await collect(result.textStream)).join(""));
      for (const output of [answer.output, await result.output]) expectPlace(text, JSON.stringify(output));
    },
    async image(nonce) {
      const content = [{ type: "text", text: `what is this? ${nonce}` }, { type: "file", mediaType: "image/png", data: picture }];
      const options = { model, messages: [{ role: "user", content }] };
      expectDigest((await generateText({ ...once, ...options })).text, nonce);
      expectDigest(await stream(options).result.text, nonce);
    },
    async reasoning(nonce) {
      const prompt = `hello ${nonce}`;
      const options = { ...thinking, model, prompt };
      const answer = await generateText({ ...once, ...options });
      const { result } = stream(options);
      for (const [text, thought] of [[answer.text, answer.reasoningText], [await result.text, await result.reasoningText]]) {
        expectAnswer(prompt, text, nonce);
        assert.ok(thought || vendor === "openai" || !plan.thinks?.[vendor], "no reasoning");
      }
    },
    async long(nonce) {
      const text = `hello ${nonce} [[frames=300 frame-bytes=200]]`;
      const options = { model, prompt: text, ...(vendor === "anthropic" && { maxOutputTokens: 20000 }) };
      const answer = await generateText({ ...once, ...options });
      const { result } = stream(options);
      expectLong(text, answer.text, (await collect(result.textStream)).join(""), nonce);
    },
    async responses(nonce) {
      for (const prompt of [`hello ${nonce}`, `hello again ${nonce}`]) {
        const answer = await generateText({ ...once, model: provider(name), prompt });
        assert.ok(answer.text.startsWith("digest:"), answer.text);
      }
    },
    async responses_tools(nonce) {
      const question = { role: "user", content: `weather? ${nonce}` };
      const first = await generateText({ ...once, model: provider(name), messages: [question], tools, toolChoice });
      const [call] = first.toolCalls;
      const result = { role: "tool", content: [{ type: "tool-result", toolCallId: call.toolCallId, toolName: "get_weather", output: { type: "text", value: "sunny" } }] };
      const second = await generateText({ ...once, model: provider(name), messages: [question, ...first.response.messages, result], tools });
      assert.ok(second.text.startsWith("digest:"), "no text after the tool result");
      const third = await generateText({ ...once, model: provider(name), messages: [question, ...first.response.messages, result, ...second.response.messages, question], tools });
      assert.ok(third.text.startsWith("digest:"), "no text in the third turn");
    },
    async bad_request(nonce) {
      await assert.rejects(() => generateText({ ...once, model, prompt: `hello ${nonce} [[status=400]]` }), (error) => error.statusCode === 400);
    },
    async cut(nonce) {
      for (const how of ["reset", "close", "end"]) {
        const { result, failed } = stream({ model, prompt: `hello ${nonce} [[frames=20 cut=5 how=${how}]]` });
        await collect(result.textStream).catch(() => {});
        assert.ok(failed(), `${how}: ended cleanly`);
      }
    },
  };
}

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const suites = [
  ["openai", "node", openai(plan)], ["anthropic", "node", anthropic(plan)], ["gemini", "node", gemini(plan)],
  ...["openai", "anthropic", "gemini"].map((vendor) => [vendor, "ai", aiSDK(plan, vendor)]),
];
for (const [vendor, sdk, suite] of suites) {
  for (const name of plan.cases[vendor].filter((name) => suite[name])) {
    const nonce = `nonce-${randomBytes(8).toString("hex")}`;
    const started = performance.now();
    let ok = true;
    let detail = "";
    try {
      await suite[name](nonce);
    } catch (error) {
      ok = false;
      detail = `${error?.constructor?.name}: ${error?.message ?? error}`;
    }
    const seconds = Math.round(performance.now() - started) / 1000;
    console.log(JSON.stringify({ client: `${vendor}-${sdk}`, case: name, ok, detail, nonce, seconds }));
  }
}
