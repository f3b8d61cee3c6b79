package verdict

import "time"

// Schema names the version of the report's form.
const Schema = "sallyport.audit/1"

// Report is one audit, whole: what was asked of whom, what each check found, and what
// follows from it.
type Report struct {
	Schema   string    `json:"schema"`
	Program  string    `json:"program"` // version that made it
	Target   Target    `json:"target"`
	Profile  string    `json:"profile"`
	Started  time.Time `json:"started"`
	Decided  time.Time `json:"decided"`
	Stopped  string    `json:"stopped,omitempty"` // why it ended before its plan did; empty when it did not
	Commit   string    `json:"commit"`            // SHA-256 of the plan, fixed before the beacon
	Beacon   Beacon    `json:"beacon"`
	Seed     string    `json:"seed"` // hex; every random choice follows from it
	Headline Label     `json:"headline"`
	Summary  string    `json:"summary"` // one sentence

	LeftOut    []string    `json:"left_out,omitempty"` // settings that the endpoint refuses, so that questions went without them
	Reference  *Reference  `json:"reference,omitempty"`
	Verdicts   []Verdict   `json:"verdicts"`  // one for each hypothesis
	Detectors  []Result    `json:"detectors"` // D1 to D15
	Spent      Spent       `json:"spent"`
	Detectable *Detectable `json:"detectable,omitempty"`
	Camouflage *Camouflage `json:"camouflage,omitempty"`

	Coverage []string `json:"coverage"` // what was and what was not looked at
	Innocent []string `json:"innocent"` // causes other than intent
	Footer   []string `json:"footer"`
	Bundle   *Bundle  `json:"bundle,omitempty"`
}

// Target is what was audited.
type Target struct {
	Name    string `json:"name,omitempty"` // that a configuration has for it
	URL     string `json:"url"`
	Host    string `json:"host"`
	Kind    string `json:"kind"`               // the API that it speaks
	Model   string `json:"model"`              // that it is asked for
	CertKey string `json:"cert_key,omitempty"` // SHA-256 of the public key of its certificate
}

// Beacon is the randomness that was drawn after the plan was committed to.
type Beacon struct {
	Value  string `json:"value"`
	Source string `json:"source"`
	Weak   string `json:"weak,omitempty"` // why somebody else might doubt it; empty when nothing is to be said

	Log *LogProof `json:"log,omitempty"` // that the value is a head of an audit log; nil when it is none
}

// LogProof shows offline that the commitment to a plan is a leaf of an audit log.
type LogProof struct {
	Leaf  string `json:"leaf"`
	Proof string `json:"proof"` // a .tlog-proof file (c2sp.org/tlog-proof): its place, the way to the root, the signed head
	Key   string `json:"vkey"`  // the verifier key of the log (c2sp.org/signed-note)
}

// Reference is what answers were compared with.
type Reference struct {
	ID       string    `json:"id"` // SHA-256
	Model    string    `json:"model"`
	Host     string    `json:"host"`
	Class    string    `json:"class"`
	Recorded time.Time `json:"recorded"`
	Expires  time.Time `json:"expires"`
	Protocol string    `json:"protocol"` // hash of all parameters
	Variants []string  `json:"variants"` // honest deployments; H_honest needs two
	Reason   string    `json:"reason,omitempty"`
	Signer   string    `json:"signer,omitempty"`
	Imported bool      `json:"imported,omitempty"`
	Public   bool      `json:"public,omitempty"`
}

// Verdict is the conclusion on one hypothesis.
type Verdict struct {
	Null      Null     `json:"null"`
	Statement string   `json:"statement"`
	Tested    bool     `json:"tested"`
	Reason    string   `json:"reason,omitempty"` // why it was not tested, or what decided
	LogE      float64  `json:"log10_e"`          // decimal logarithm of the fused e-value
	MaxLogE   float64  `json:"max_log10_e"`      // the largest that it ever was: what decides
	Alpha     float64  `json:"alpha"`            // the chance of rejecting the hypothesis though it holds
	Rejected  bool     `json:"rejected"`
	Veto      string   `json:"veto,omitempty"` // a fact that decides alone
	Level     Level    `json:"level"`
	Label     Label    `json:"label"`
	N         int      `json:"n"` // observations of all detectors
	By        []ID     `json:"by,omitempty"`
	Shares    []Share  `json:"shares"`
	Curve     []Point  `json:"curve,omitempty"` // fused log10 E after so many observations
	Wording   string   `json:"wording"`         // the sentence that may be quoted
	Assumed   []string `json:"assumed,omitempty"`
}

// Share is one detector's part in a verdict.
type Share struct {
	Detector ID      `json:"detector"`
	Weight   float64 `json:"weight"`
	LogE     float64 `json:"log10_e"`
}

// State says what became of a detector.
type State string

// The states. Only Ran is evidence; none of the others is a pass.
const (
	Ran           State = "ran"
	Inconclusive  State = "inconclusive"   // it ran and cannot say: too many failures, or an expired fact
	NotApplicable State = "not applicable" // it cannot run here
	NotRun        State = "not run"        // the profile leaves it out, or the audit ended before
)

// Result is what one detector found.
type Result struct {
	ID       ID            `json:"id"`
	Name     string        `json:"name"`
	Layer    Layer         `json:"layer"`
	State    State         `json:"state"`
	Reason   string        `json:"reason,omitempty"` // of every state but Ran
	Null     string        `json:"null"`             // what it tests, in words
	Nulls    []Null        `json:"nulls"`            // hypotheses that its evidence is against
	Queries  int           `json:"queries"`
	Failures int           `json:"failures"`
	Cost     int64         `json:"cost_nano_usd"` // -1 when no price is known
	Took     time.Duration `json:"took_ns"`
	Evidence []Evidence    `json:"evidence,omitempty"`
	Findings []Finding     `json:"findings,omitempty"`
	Facts    []Fact        `json:"facts,omitempty"` // measured figures, for the table
	Charts   []Chart       `json:"charts,omitempty"`
}

// Evidence is a detector's e-value against one hypothesis.
type Evidence struct {
	Null    Null    `json:"null"`
	LogE    float64 `json:"log10_e"`
	MaxLogE float64 `json:"max_log10_e"`
	N       int     `json:"n"`
	P       float64 `json:"p,omitempty"` // of batch tests
	Curve   []Point `json:"curve,omitempty"`
}

// Finding is something that a detector saw and that has a name.
type Finding struct {
	Label  Label  `json:"label"`
	Null   Null   `json:"null"`
	Text   string `json:"text"` // may hold hostile text
	Veto   bool   `json:"veto,omitempty"`
	Source string `json:"source,omitempty"` // of the vendor's fact it rests on
}

// Fact is one measured figure.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"` // may hold hostile text
}

// Point is one point of a curve.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// ChartKind is how a chart is drawn.
type ChartKind string

// The kinds of chart.
const (
	Lines     ChartKind = "lines"     // series of points, joined
	Scatter   ChartKind = "scatter"   // series of points
	Bars      ChartKind = "bars"      // groups of bars, one a series, by category
	Intervals ChartKind = "intervals" // estimates with intervals, by category
)

// Chart is a plot of a detector's data.
type Chart struct {
	Title  string    `json:"title"`
	Kind   ChartKind `json:"kind"`
	X      string    `json:"x"` // name of the axis, with its unit
	Y      string    `json:"y"`
	Labels []string  `json:"labels,omitempty"` // the categories; may hold hostile text
	Series []Series  `json:"series"`
	Levels []Mark    `json:"levels,omitempty"` // horizontal lines
}

// Series is one line, cloud, or group of a chart. By category it has a Y for each
// of the chart's labels, and of intervals Low and High as well.
type Series struct {
	Name   string    `json:"name"`
	Points []Point   `json:"points,omitempty"`
	Y      []float64 `json:"y,omitempty"`
	Low    []float64 `json:"low,omitempty"`
	High   []float64 `json:"high,omitempty"`
}

// Mark is a horizontal line with a name.
type Mark struct {
	Name string  `json:"name"`
	Y    float64 `json:"y"`
}

// Spent is what the audit took.
type Spent struct {
	Queries  int            `json:"queries"`
	Outcomes map[string]int `json:"outcomes"` // how the queries ended
	Input    int64          `json:"input_tokens"`
	Output   int64          `json:"output_tokens"`
	Unknown  int            `json:"unknown_usage"` // queries whose usage was not told
	Cost     int64          `json:"cost_nano_usd"` // -1 when no price is known
	Cap      int64          `json:"cap_nano_usd,omitempty"`
	Took     time.Duration  `json:"took_ns"`
}

// Detectable is the smallest share of cheating that an audit of this size finds.
type Detectable struct {
	Eps     float64 `json:"eps"` // share of requests served by another model; above 1 when none is found
	Power   float64 `json:"power"`
	Queries int     `json:"queries"`
	Against string  `json:"against"` // the other model
	Runs    int     `json:"runs"`    // simulated audits behind it
}

// Camouflage is how well a relay could tell the audit's questions from traffic.
type Camouflage struct {
	Told           // the questions that are dressed, by all that a relay sees
	Form    Told   `json:"form"`    // the same by their form alone: sizes, turns, limits, parameters, but no words
	Parts   []Told `json:"parts"`   // the questions of each detector, by all that a relay sees
	Traffic int    `json:"traffic"` // requests of traffic
	Against string `json:"against"` // what the traffic was
	Note    string `json:"note"`
}

// Told is how well some questions are told from traffic.
type Told struct {
	By     ID      `json:"by,omitempty"` // the detector whose questions they are; empty for those of several
	AUC    float64 `json:"auc"`          // of a classifier, on held-out traffic; .5 is chance
	Low    float64 `json:"low"`          // of the interval of 95 %
	High   float64 `json:"high"`         // of the same
	Probes int     `json:"probes"`       // questions
}

// Bundle is the sealed file that the report can be checked with.
type Bundle struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Signer string `json:"signer,omitempty"`
	Leaf   *int64 `json:"leaf,omitempty"`   // of the gateway's log
	Record string `json:"record,omitempty"` // the id by which the log knows it
}
