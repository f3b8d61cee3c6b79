#!/usr/bin/env bash
# The static gates, with the tools that tools/go.mod pins. All of them run; the exit status says whether one failed.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
# Command substitution keeps what a gate prints, and no gate may print anything.
gate() { # NAME COMMAND ...
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	if [ "$status" -ne 0 ] || [ -n "$output" ]; then
		printf 'check: %s: FAILED\n%s\n' "$name" "$output"
		failed+=("$name")
	else
		printf 'check: %s: ok\n' "$name"
	fi
}
tool() { go tool -modfile=tools/go.mod "$@"; }
formatted() { git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 go tool -modfile=tools/go.mod gofumpt -l; }
tidy() { (cd "$1" && go mod tidy -diff 2>&1 | grep -v '^go: downloading '; exit "${PIPESTATUS[0]}"); }

go mod download >/dev/null 2>&1 # its progress is no finding
go mod download -modfile=tools/go.mod >/dev/null 2>&1

gate gofumpt formatted
gate "go vet" go vet ./...
gate "go fix" go fix -diff ./...
for module in . tools test/sdk/go; do gate "go mod tidy ($module)" tidy "$module"; done
gate staticcheck tool staticcheck ./...
gate deadcode tool deadcode -test ./...

if [ "${#failed[@]}" -gt 0 ]; then
	printf 'check: failed: %s\n' "${failed[@]}"
	exit 1
fi
