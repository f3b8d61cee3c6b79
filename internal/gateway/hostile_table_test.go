package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
)

// framing lists requests that lie about where they end or how their header reads.
func framing() []hostile {
	length := "Content-Length: " + strconv.Itoa(len(good))
	chunked := func(chunks string, more ...string) string {
		return with(chatLine, chunks, append([]string{authorized, "Transfer-Encoding: chunked"}, more...)...)
	}
	line := func(more ...string) string { return with(chatLine, good, append([]string{authorized}, more...)...) }
	hidden := "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n" + length + "\r\n\r\n" + good
	return []hostile{
		{"cl.te with a hidden request", chunked("0\r\n\r\n"+hidden, "Content-Length: "+strconv.Itoa(5+len(hidden))), []int{400}},
		{"te.cl with a hidden request", chunked(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), "Content-Length: 4"), []int{400}},
		{"two lengths", line(length, "Content-Length: 3"), []int{400}},
		{"two lengths in one line", line("Content-Length: " + strconv.Itoa(len(good)) + ", 3"), []int{400}},
		{"length with a sign", line("Content-Length: +" + strconv.Itoa(len(good))), []int{400}},
		{"negative length", line("Content-Length: -1"), []int{400}},
		{"hexadecimal length", line("Content-Length: 0x3c"), []int{400}},
		{"length beyond 64 bits", line("Content-Length: 99999999999999999999"), []int{400}},
		{"length of an exabyte", line("Content-Length: 1152921504606846976"), []int{413}},
		{"length longer than the body", line("Content-Length: " + strconv.Itoa(len(good)+1)), []int{400}},
		{"length shorter than the body", line("Content-Length: " + strconv.Itoa(len(good)-1)), []int{400}},
		{"no length", line(), []int{400}},
		{"unknown transfer encoding", chunked(good, "Transfer-Encoding: x"), []int{501}},
		{"xchunked", with(chatLine, good, authorized, "Transfer-Encoding: xchunked"), []int{501}},
		{"chunked, identity", with(chatLine, good, authorized, "Transfer-Encoding: chunked, identity"), []int{501}},
		{"identity and a length", with(chatLine, good, authorized, "Transfer-Encoding: identity", length), []int{501}},
		{"vertical tab before chunked", with(chatLine, good, authorized, "Transfer-Encoding: \x0bchunked"), []int{400}},
		{"chunk shorter than it says", chunked("ff\r\n" + good + "\r\n0\r\n\r\n"), []int{400}},
		{"chunk longer than it says", chunked("2\r\n" + good + "\r\n0\r\n\r\n"), []int{400}},
		{"chunk size beyond 64 bits", chunked("11111111111111111\r\n" + good + "\r\n0\r\n\r\n"), []int{400}},
		{"negative chunk size", chunked("-3c\r\n" + good + "\r\n0\r\n\r\n"), []int{400}},
		{"endless chunk extension", chunked("3c;" + strings.Repeat("x", 20<<10) + "\r\n" + good + "\r\n0\r\n\r\n"), []int{400}},
		{"chunks without an end", chunked(fmt.Sprintf("%x\r\n%s\r\n", len(good), good)), []int{400}},
		{"trailer that would be a length", chunked("0\r\n\r\n", "Trailer: Content-Length"), []int{400}},
		{"folded key", with(chatLine, good, "Host: gateway", "X-Api-Key: $KEY\r\n x", length), []int{401}},
		{"folded first line", with(chatLine, good, " X: y", authorized, length), []int{400}},
		{"space before the colon", with(chatLine, good, "Host: gateway", "Authorization : Bearer $KEY", length), []int{400}},
		{"parenthesis in a header name", line("X(: y", length), []int{400}},
		{"header without a colon", line("nonsense", length), []int{400}},
		{"header without a name", line(": nonsense", length), []int{400}},
		{"nul in a header", line("X: a\x00b", length), []int{400}},
		{"carriage return in a header", line("X: a\rb", length), []int{400}},
		{"header of 100 KB", line("X: "+strings.Repeat("x", 100<<10), length), []int{431}},
		{"20,000 headers", line(strings.Repeat("X: y\r\n", 20_000) + length), []int{431}},
		{"target of 100 KB", with("POST /v1/chat/completions?x="+strings.Repeat("x", 100<<10)+" HTTP/1.1", good, authorized, length), []int{431}},
		{"no host", with(chatLine, good, "Authorization: Bearer $KEY", length), []int{400}},
		{"two hosts", line("Host: other", length), []int{400}},
		{"host with a path", with(chatLine, good, "Host: gateway/x y", "Authorization: Bearer $KEY", length), []int{400}},
		{"http/1.1 in small letters", with("POST /v1/chat/completions http/1.1", good, authorized, length), []int{400}},
		{"http/9.9", with("POST /v1/chat/completions HTTP/9.9", good, authorized, length), []int{505}},
		{"http/0.9", "POST /v1/chat/completions\r\n\r\n" + good, []int{400}},
		{"method with a space", with("PO ST /v1/chat/completions HTTP/1.1", good, authorized, length), []int{400}},
		{"http/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{401}},
		{"tls hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", nil},
		{"unknown expectation", line("Expect: miracles", length), []int{417}},
		{"expectation with a bad key", with(chatLine, good, "Host: gateway", "Authorization: Bearer sp_bad", "Expect: 100-continue", length), []int{401}},
		{"pipelined behind a refusal", with(chatLine, good, "Host: gateway", length) + post("/v1/chat/completions", good), []int{401}},
		{"pipelined as a body", with("GET /v1/models HTTP/1.1", post("/v1/chat/completions", good), authorized, fmt.Sprintf("Content-Length: %d", len(strings.ReplaceAll(post("/v1/chat/completions", good), "$KEY", strings.Repeat("k", 39))))), []int{200}},
		{"gzip bomb", post("/v1/chat/completions", gzipped(padded(2<<20)), "Content-Encoding: gzip"), []int{413}},
		{"deflate bomb", post("/v1/messages", zlibbed(padded(2<<20)), "Content-Encoding: deflate"), []int{413}},
		{"encoding that is not there", post("/v1/chat/completions", good, "Content-Encoding: gzip"), []int{400}},
		{"unknown encoding", post("/v1/chat/completions", gzipped(good), "Content-Encoding: br"), []int{415}},
		{"form", post("/v1/chat/completions", "model=fast", "Content-Type: application/x-www-form-urlencoded"), []int{400}},
	}
}

// targets lists requests for what is not there.
func targets() []hostile {
	at := func(line string, more ...string) string {
		return with(line, good, append([]string{authorized, "Content-Length: " + strconv.Itoa(len(good))}, more...)...)
	}
	list := []hostile{
		{"connect", at("CONNECT evil.example:443 HTTP/1.1"), []int{404}},
		{"connect to a path", at("CONNECT /v1/chat/completions HTTP/1.1"), []int{405}},
		{"absolute target elsewhere", at("POST http://evil.example/ HTTP/1.1"), []int{404}},
		{"absolute target of cloud metadata", at("GET http://169.254.169.254/latest/meta-data/ HTTP/1.1"), []int{404}},
		{"absolute target with another scheme", at("POST file:///etc/passwd HTTP/1.1"), []int{404}},
		{"asterisk", at("POST * HTTP/1.1"), []int{404}},
		{"options asterisk", at("OPTIONS * HTTP/1.1"), []int{200}},
		{"trace", at("TRACE /v1/chat/completions HTTP/1.1"), []int{405}},
		{"lower-case method", at("post /v1/chat/completions HTTP/1.1"), []int{405}},
		{"method override", at("GET /v1/chat/completions HTTP/1.1", "X-HTTP-Method-Override: POST", "X-Method-Override: POST"), []int{405}},
		{"method override in the query", at("GET /v1/chat/completions?_method=POST HTTP/1.1"), []int{405}},
		{"rewritten path", at("POST / HTTP/1.1", "X-Original-URL: /v1/chat/completions", "X-Rewrite-URL: /v1/chat/completions"), []int{404}},
		{"websocket", at("GET /v1/chat/completions HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="), []int{405}},
		{"loop", at(chatLine, "X-Sallyport-Hop: instance0000"), []int{508}},
		{"loop among others", at(chatLine, "X-Sallyport-Hop: a, instance0000,b"), []int{508}},
		{"loop in a second header", at(chatLine, "X-Sallyport-Hop: a", "X-Sallyport-Hop: instance0000"), []int{508}},
		{"many hops", at(chatLine, "X-Sallyport-Hop: "+strings.Repeat("a,", 9)+"a"), []int{508}},
		{"text as a hop", at(chatLine, "X-Sallyport-Hop: $KEY"), []int{400}},
		{"a long hop", at(chatLine, "X-Sallyport-Hop: "+strings.Repeat("a", 1000)), []int{400}},
	}
	for _, path := range []string{
		"//v1//chat/../", "//v1/chat/completions", "/v1//chat/completions", "/v1/chat/./completions", "/v1/chat/x/../completions",
		"/v1/chat/completions/..", "/v1/%2e%2e/v1/chat/completions", "/v1/chat/completions%00", "/v1/chat/completions%20", "/v1/chat/completions;x=1",
		"/v1/chat%2fcompletions", "/v1%2Fchat/completions", `/v1\chat\completions`, "/v1/chat/completions%2f..", "/v1/chat/completions.json",
		"/v1/chat/completionſ", "/v1/models/../chat/completions", "/v1/chat/completions%c0%af", "/.%2e/v1/chat/completions", "/v1/uploads", "/admin", "/metrics",
		"/v1/organization/admin_api_keys", "/v1beta/models/fast:generateVideos", "/v1beta/files", "/v1/models/fast:", "/openai/deployments/fast/chat/completions",
	} {
		list = append(list, hostile{"path " + path, at("POST " + path + " HTTP/1.1"), []int{404}})
	}
	return append(list, hostile{"path with a bad escape", at("POST /v1/chat/completions%zz HTTP/1.1"), []int{400}})
}

// credentialTricks lists requests whose credential is not one.
func credentialTricks() []hostile {
	at := func(target string, more ...string) string {
		return with("POST "+target+" HTTP/1.1", good, append(more, "Host: gateway", "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(good)))...)
	}
	const chat = "/v1/chat/completions"
	return []hostile{
		{"no credential", at(chat), []int{401}},
		{"two keys in two carriers", at(chat, "Authorization: Bearer $KEY", "X-Api-Key: $OTHER"), []int{400}},
		{"two keys in one header name", at(chat, "X-Api-Key: $KEY", "x-api-key: $OTHER"), []int{400}},
		{"key and query", at(chat+"?key=$OTHER", "X-Goog-Api-Key: $KEY"), []int{400}},
		{"two keys in the query", at(chat + "?key=$KEY&key=$OTHER"), []int{400}},
		{"key and administrator", at(chat, "Authorization: Bearer $KEY", "X-Api-Key: $ADMIN"), []int{400}},
		{"administrator", at(chat, "Authorization: Bearer $ADMIN"), []int{403}},
		{"administrator in the query", at(chat + "?key=$ADMIN"), []int{403}},
		{"two schemes in one value", at(chat, "Authorization: Bearer $KEY, Bearer $OTHER"), []int{401}},
		{"key and more in one value", at(chat, "Authorization: Bearer $KEY x"), []int{401}},
		{"basic", at(chat, "Authorization: Basic $KEY"), []int{401}},
		{"basic beside a good key", at(chat, "Authorization: Basic eDp5", "X-Api-Key: $KEY"), []int{401}},
		{"key without scheme", at(chat, "Authorization: $KEY"), []int{401}},
		{"key in a cookie", at(chat, "Cookie: key=$KEY"), []int{401}},
		{"key in capitals of the query", at(chat + "?KEY=$KEY"), []int{401}},
		{"key behind a semicolon", at(chat + "?a=b;key=$KEY"), []int{401}},
		{"key in the user part of the target", at("http://$KEY@gateway" + chat), []int{401}},
		{"key in the path", at("/$KEY" + chat), []int{401}},
		{"half a key", at(chat, "X-Api-Key: sp_0123456789"), []int{401}},
		{"key with a newline escaped", at(chat + "?key=$KEY%0a"), []int{401}},
		{"key with a nul", at(chat, "X-Api-Key: $KEY\x00"), []int{400}},
		{"key in other letters", at(chat, "X-Api-Key: ſp_$KEY"), []int{401}},
		{"path that is not clean with a key in the query", at("//v1/chat/completions?key=$KEY"), []int{404}},
	}
}

// documents lists bodies that two readers could understand differently, or that
// are not what the route needs.
func documents() []hostile {
	const user = `"messages":[{"role":"user","content":"hi"}]`
	list := []hostile{}
	for name, body := range map[string]string{
		"nothing": "", "white space": " \n ", "an array": "[" + good + "]", "a string": `"model"`, "null": "null",
		"a byte-order mark": "\xef\xbb\xbf" + good, "utf-16": "\xff\xfe{\x00}\x00", "utf-16 without mark": "{\x00\"\x00", "trailing text": good + "x",
		"two documents": good + good, "a nul behind": good + "\x00", "cut off": good[:len(good)-1], "a comment": `{/**/` + good[1:],
		"single quotes": strings.ReplaceAll(good, `"`, `'`), "a trailing comma": good[:len(good)-1] + ",}", "a key without quotes": `{model:"fast",` + user + `}`,
		"nan": `{"x":NaN,` + good[1:], "infinity": `{"x":-Infinity,` + good[1:], "a leading zero": `{"x":01,` + good[1:], "a leading plus": `{"x":+1,` + good[1:],
		"a bare point": `{"x":.5,` + good[1:], "a point at the end": `{"x":1.,` + good[1:], "hexadecimal": `{"x":0x10,` + good[1:], "an empty exponent": `{"x":1e,` + good[1:],
		"a form feed": "{\f" + good[1:], "a no-break space": "{\u00a0" + good[1:], "a line separator": "{\u2028" + good[1:],
		"the model twice": `{"model":"fast","model":"vector",` + user + `}`, "the model twice, once escaped": `{"model":"fast","m\u006fdel":"vector",` + user + `}`,
		"a twin at depth": `{"model":"fast","messages":[{"role":"user","content":[{"type":"text","text":"a","t\u0065xt":"b"}]}]}`,
		"a twin far down": `{"model":"fast",` + user + `,"x":` + strings.Repeat(`{"a":[`, 20) + `{"k":1,"k":2}` + strings.Repeat(`]}`, 20) + `}`,
		"an empty twin":   `{"":1,"":2,` + good[1:], "Model": `{"Model":"vector",` + good[1:], "MODEL": `{"MODEL":"vector",` + good[1:],
		"mode\\u004c": `{"mode\u004c":"x",` + good[1:], "a long s": `{"meſſages":[],` + good[1:], "a long s escaped": `{"\u017ftream":true,` + good[1:],
		"a kelvin sign": `{"max_to\u212Aens":1,` + good[1:], "Stream": `{"Stream":true,` + good[1:],
		"arrays as deep as a well": `{"x":` + strings.Repeat("[", 200_000), "closed arrays as deep": `{"x":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `,` + good[1:],
		"objects as deep as a well": strings.Repeat(`{"x":`, 100_000), "too many members": `{` + manyMembers(70_000) + good[1:],
		"a stray byte": `{"x":"` + "\xff" + `",` + good[1:], "an overlong slash": `{"x":"` + "\xc0\xaf" + `",` + good[1:], "an overlong nul": `{"x":"` + "\xc0\x80" + `",` + good[1:],
		"an overlong quote": `{"x":"` + "\xe0\x80\xa2" + `",` + good[1:], "half a pair in utf-8": `{"x":"` + "\xed\xa0\x80" + `",` + good[1:],
		"five bytes": `{"x":"` + "\xf8\x88\x80\x80\x80" + `",` + good[1:], "beyond unicode": `{"x":"` + "\xf4\x90\x80\x80" + `",` + good[1:],
		"a rune cut off": `{"x":"` + "\xe2\x82" + `",` + good[1:], "a stray byte in a key": `{"` + "\xfe" + `":1,` + good[1:],
		"a high surrogate": `{"x":"\ud800",` + good[1:], "a low surrogate": `{"x":"\udc00",` + good[1:], "surrogates reversed": `{"x":"\udc00\ud800",` + good[1:],
		"a surrogate in a key": `{"\ud800":1,` + good[1:], "a tab in a string": "{\"x\":\"\t\"," + good[1:], "a newline in a string": "{\"x\":\"\n\"," + good[1:],
		"a nul in a string": "{\"x\":\"\x00\"," + good[1:], "an unknown escape": `{"x":"\x41",` + good[1:], "a short escape": `{"x":"\u12",` + good[1:],
		"no model": `{` + user + `}`, "model null": `{"model":null,` + user + `}`, "model a number": `{"model":1,` + user + `}`, "model an object": `{"model":{"a":1},` + user + `}`,
		"model empty": `{"model":"",` + user + `}`, "model with a nul": `{"model":"fast\u0000",` + user + `}`, "model with a line break": `{"model":"fast\r\nX-Evil: 1",` + user + `}`,
		"model with an escape sequence": `{"model":"\u001b[2J",` + user + `}`, "model with a c1 control": `{"model":"\u009b31m",` + user + `}`,
		"model of 10 KB": `{"model":"` + strings.Repeat("x", 10<<10) + `",` + user + `}`, "stream a string": `{"stream":"true",` + good[1:], "stream a number": `{"stream":1,` + good[1:],
		"max_tokens beyond 64 bits": `{"max_tokens":99999999999999999999,` + good[1:], "max_tokens with an exponent": `{"max_tokens":1e999,` + good[1:],
		"max_tokens a fraction": `{"max_tokens":1.5,` + good[1:], "max_tokens a string": `{"max_tokens":"5",` + good[1:], "n a string": `{"n":"2",` + good[1:],
		"no messages": `{"model":"fast"}`, "messages a string": `{"model":"fast","messages":"hi"}`, "stream_options an array": `{"stream_options":[],` + good[1:],
		"include_usage a string": `{"stream":true,"stream_options":{"include_usage":"no"},` + good[1:], "Include_Usage": `{"stream":true,"stream_options":{"Include_Usage":true},` + good[1:],
	} {
		list = append(list, hostile{"body: " + name, post("/v1/chat/completions", body), []int{400}})
	}
	for _, path := range []string{"/responses", "/v1/embeddings", "/v1/messages", "/messages/count_tokens"} {
		for _, body := range []string{"", good + "}", `{"model":"fast","model":"x"}`, `{"Model":"fast"}`, "\xef\xbb\xbf{}", `{"x":"\ud800"}`, strings.Repeat("[", 1000)} {
			list = append(list, hostile{"body for " + path, post(path, body), []int{400}})
		}
	}
	for name, model := range map[string]string{
		"unknown": "nobody", "an upstream's own": "gpt-5-mini", "not exposed": "oa/gpt-5-mini", "a path": "../../fast", "a space before": " fast",
		"a space behind": "fast ", "other letters": "FAST", "full width": "ｆast", "a url": "http://evil.example/v1", "a query": "fast?key=x", "sql": "fast' OR '1'='1",
	} {
		list = append(list, hostile{"model: " + name, post("/v1/chat/completions", `{"model":`+quote(model)+`,`+user+`}`), []int{404}})
	}
	return list
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return b.String()
}
