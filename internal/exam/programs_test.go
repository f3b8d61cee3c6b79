package exam

import "testing"

// A program whose values outgrow 64 bits is noticed: Python would print another number.
func TestTraceNoticesLargeValues(t *testing.T) {
	program := []statement{{op: "add", a: 0, b: 1}, {op: "add", a: 1, b: 0}}
	for range 4 {
		program = []statement{{op: "loop", n: 4, nested: program}}
	}
	state := machine{vars: [3]int{1, 1, 1}}
	for _, run := range compile(program) {
		run(&state)
	}
	if !state.large {
		t.Errorf("not noticed: %+v", state)
	}
	state = machine{vars: [3]int{1, 1, 1}}
	for _, run := range compile(program[0].nested[0].nested[0].nested) {
		run(&state)
	}
	vars := map[string]int{"a": 1, "b": 1, "c": 1}
	interpret(program[0].nested[0].nested[0].nested, vars)
	if state.large || state.vars != [3]int{vars["a"], vars["b"], vars["c"]} {
		t.Errorf("%+v, %v", state, vars)
	}
}
