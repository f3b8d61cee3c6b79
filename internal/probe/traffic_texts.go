package probe

// Requests as programs make them, to compare questions with. Nothing here is a text of
// the questions, so whoever changes those must not look at the second half of it: the
// figures against it say how far what was learnt on the first half holds elsewhere.

// application is one program that calls a model: its prompt and its parameters are its
// own, and only what it is used on differs.
type application struct {
	system      string
	turns       []string // of user and assistant in turn
	limit       int64    // 0 when it sets none
	temperature float64  // below 0 when it sets none
	topP        float64  // 0 when it sets none
	stream      bool
	tools       []string
}

// unset is the temperature of applications that set none.
const unset = -1

// knownApplications are those that the questions may be fitted to.
var knownApplications = []application{
	{system: "Summarize call transcripts for {firm}. Mention the caller's problem, what was promised and by when. Do not quote.", turns: []string{"{speech}\n{speech}\n{speech}\n{speech}\n{speech}"}, limit: 400, temperature: .2},
	{system: "You answer questions about the handbook of {firm}. Use only the passages given. If they do not contain the answer, say that you do not know. Cite the number of the passage.", turns: []string{"Passages:\n[1] {lines}\n[2] {lines}\n[3] {lines}\n\nQuestion: {ask}"}, limit: 1024, temperature: 0},
	{turns: []string{"{ask}"}, temperature: unset, stream: true},
	{turns: []string{"{ask}", "{lines}", "ok and {ask}"}, temperature: unset, stream: true},
	{system: "You are a helpful assistant.", turns: []string{"translate to french:\n\n{lines}"}, limit: 2000, temperature: 1, stream: true},
	{system: "You triage incoming messages. Reply with exactly one of: billing, delivery, returns, account, other.", turns: []string{"{line} {line}"}, limit: 16, temperature: 0},
	{system: "Extract the fields below from the message and return strict JSON.\n- sender\n- quantity (integer or null)\n- deadline (ISO date or null)\n- urgent (boolean)\nNever add keys.", turns: []string{"{person} wrote on {date}:\n{line} {line} We need {n} of the {thing}."}, limit: 300, temperature: 0},
	{system: "You are a coding assistant working in the repository {word}-{word}. Explain briefly, then show the change as a unified diff. Keep the style of the file.", turns: []string{"{code}\n\n{wish}"}, limit: 4096, temperature: .2, stream: true},
	{turns: []string{"why does this fail?\n\n```\n{code}\n```\n\nTypeError: unsupported operand in line {n}"}, limit: 2048, temperature: unset, stream: true},
	{system: "You write product descriptions for the web shop of {firm}. 60 to 90 words, no superlatives, mention the material and the care instructions.", turns: []string{"Name: {thing}\nPrice: {n} EUR\nFeatures: {line}"}, limit: 512, temperature: .7, topP: .95},
	{system: "You are Mo, the friendly support bot of {firm}. You can look up orders. Never promise refunds. Hand over to a person when asked. Opening hours are 9 to 17. Today is {date}. {lines}", turns: []string{"hi, {line}", "I am sorry to hear that. Could you give me the number of your order?", "it's {n}{n}. {ask}"}, limit: 800, temperature: .3, stream: true, tools: []string{"get_order"}},
	{turns: []string{"Write a {thing} announcement for our intranet.\n\n{lines}\n\nTone: warm. Length: about {n} words."}, temperature: unset, stream: true},
}

// otherApplications are those that nothing is fitted to.
var otherApplications = []application{
	{system: "Grade the answer from 1 to 5 by the rubric and give a reason in one sentence. Output: {\"score\": n, \"reason\": \"\"}.\nRubric: {lines}", turns: []string{"Task: {ask}\nAnswer: {lines}"}, limit: 256, temperature: 0},
	{turns: []string{"{lines}\n\n{lines}\n\n{lines}\n\ntl;dr"}, temperature: unset},
	{system: "Rewrite search queries. Given a conversation, return a single standalone query.", turns: []string{"{ask}", "{lines}", "{ask}"}, limit: 64, temperature: 0},
	{system: "Act as a travel agent. Always give three alternatives with prices.", turns: []string{"I have {n} days in {place} with {person}. {ask}"}, limit: 1500, temperature: .8, stream: true},
	{turns: []string{"SELECT * FROM {word}_{word} WHERE {word} > {n}\n\nmake this faster, the table has {n} million rows"}, limit: 1000, temperature: unset, stream: true},
	{system: "You review contracts. List each clause that deviates from the playbook, its risk and a proposed wording. Playbook:\n1. {line}\n2. {line}\n3. {line}", turns: []string{"1.1 {line} {line}\n1.2 {line}\n2.1 {line} {line}\n2.2 {line}\n3. {line}"}, limit: 4000, temperature: 0},
	{turns: []string{"can you make this sound nicer: {line}", "{lines}", "shorter", "{line}", "perfect, now the same for: {line}"}, temperature: unset, stream: true},
	{system: "Generate unit tests in pytest. Output only code.", turns: []string{"```python\n{code}\n```"}, limit: 3000, temperature: .1},
	{system: "You are a tutor for pupils of age {n}. Never give the solution at once; ask a leading question first.", turns: []string{"{ask}", "What do you already know about it?", "{line}"}, limit: 600, temperature: .7, stream: true},
	{turns: []string{"Meeting {date}\n{speech}\n{speech}\n{speech}\n\nAction items as a checklist with owners please"}, limit: 1200, temperature: .5},
}

// What applications are used on.
var trafficSlots = map[string][]string{
	"firm":   {"Halden Optics", "Ruiz y Vega", "Tidewater Credit Union", "Moss & Daughters", "Ektra", "Novabus", "Peak Hearing", "Lindqvist Bygg"},
	"person": {"Grace", "Mr Albright", "Yusuf", "Dr. Lindahl", "Bea", "Ms Ortega", "Kofi", "Annika", "Raj", "Frau Berger", "Tomasz", "Lian"},
	"place":  {"Seville", "Kyoto", "Cape Town", "Montreal", "Split", "Bergamo", "Oaxaca", "Galway"},
	"date":   {"2026-01-14", "Feb 3", "last Monday", "2026-04-30", "06/11", "September", "2025-12-19", "yesterday"},
	"thing":  {"rain jacket", "standing desk", "thermostat", "espresso grinder", "bike light", "linen shirt", "router", "tent", "blender", "wall charger", "yoga mat", "water filter"},
	"word":   {"orders", "session", "cache", "ledger", "invoice", "queue", "parser", "batch", "user", "shipment", "metric", "token"},
	"who":    {"The customer", "My landlord", "Our tenant", "The clinic", "The new release", "The driver", "Half of the class", "The committee", "A neighbour", "The warehouse", "Her physician", "The mobile app", "The auditor", "My cousin", "The second shipment", "The council"},
	"did":    {"cancelled", "keeps losing", "has never received", "wants to replace", "complained about", "is waiting for", "misread", "approved", "returned", "accidentally deleted", "double booked", "has doubts about", "paid twice for", "prefers", "cannot open", "forgot"},
	"what":   {"the membership", "two boxes of tiles", "the lab report", "the login mail", "the second invoice", "the parking permit", "our Friday slot", "the warranty card", "the red one", "the appendix", "the medication list", "a refund", "the firmware update", "the seating chart", "the deposit", "the draft budget"},
	"tail":   {"because the link expired", "although we called three times", "and nobody noticed until noon", "which is against the policy", "before the deadline", "so the total is off by a few cents", "since the move", "without telling anyone", "after the outage", "for the third time this year", "as far as I can tell", "and now it is urgent"},
	"ask":    {"what should I do first?", "how long does it take to get my money back?", "is it normal that my cat sleeps all day", "Which of the two plans covers physiotherapy?", "can you explain compound interest like I'm 12", "How many vacation days carry over into the next year?", "what's a good dinner for four without nuts", "Does the policy allow remote work from abroad?", "give me a regex for german phone numbers", "who needs to sign the form?", "what is the difference between TCP and UDP?", "Any tips for a first marathon?", "How do I export the report as PDF?", "where does the name come from?"},
	"wish":   {"make it async", "Please add error handling.", "can we avoid the second loop?", "rename the variables to something sensible", "add a docstring", "This should also accept None.", "convert to typescript"},
	"code":   {"def total(rows):\n    s = 0\n    for r in rows:\n        s += r.get('amount')\n    return s / len(rows)", "func load(path string) ([]byte, error) {\n\tf, err := os.Open(path)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\treturn io.ReadAll(f)\n}", "const ids = items.map(i => i.id).filter(Boolean)\nawait Promise.all(ids.map(fetchOne))\nconsole.log(ids.length + 1)", "class Retry:\n    def __init__(self, n=3):\n        self.n = n\n    def run(self, f):\n        for i in range(self.n):\n            try:\n                return f()\n            except Exception as e:\n                last = e\n        raise last", "SELECT c.name, SUM(o.total)\nFROM customers c JOIN orders o ON o.customer = c.id\nGROUP BY c.name\nHAVING SUM(o.total) > 100"},
}
