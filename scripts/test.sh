#!/usr/bin/env bash
# Every test: go test with the race detector, then the official SDKs against the built binary. What this
# machine lacks is installed first. Whatever could not run is named at the end; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
failed=()

scripts/setup.sh
missing=$(cat .tools/missing)
lacks() { grep -q "^$1: " <<<"$missing"; }

race=(-race)
if lacks cc; then race=(); fi
if lacks postgres; then export SALLYPORT_TEST_WITHOUT=postgres; fi

# The audit's tests run thousands of audits, ten times slower under the race detector: all of them run without
# it, and with it those in which goroutines meet.
counting=./internal/probe
meeting='Swap|Watch|SpendCap|Interrupted|Resume|Live|Unusable|CutShort|Relay'
suite() {
	local status=0
	go list ./... | grep -v "/${counting#./}\$" | xargs go test "${race[@]}" -shuffle=on -timeout 15m -json || status=1
	go test -shuffle=on -timeout 15m -json "$counting" || status=1
	if [ "${#race[@]}" -gt 0 ]; then go test "${race[@]}" -timeout 15m -run "$meeting" -json "$counting" || status=1; fi
	return $status
}
echo "test: go test ${race[*]} -shuffle=on ./..."
go build -o .tools/testsum ./scripts/testsum
suite |
	.tools/testsum -summary .tools/test-summary -skipped .tools/test-skipped || failed+=("go test")
if [ "${#race[@]}" -gt 0 ]; then # what the race detector would falsify
	go test -run Allocates ./internal/wire || failed+=("go test without the race detector")
fi
go_seconds=$((SECONDS - started))

sdk_started=$SECONDS
not_run=()
if ! make --no-print-directory build; then
	failed+=("build")
elif lacks python || lacks sdk-python; then
	not_run+=("the SDK matrix: no Python to run it with")
else
	echo "test: official SDKs against bin/sallyport"
	test/sdk/run || failed+=("SDK matrix")
fi
sdk_seconds=$((SECONDS - sdk_started))

while IFS= read -r line; do [ -z "$line" ] || not_run+=("$line"); done <<<"$missing"
while IFS= read -r line; do not_run+=("$line"); done <.tools/test-skipped
if [ -e .tools/sdk-skipped ]; then
	while IFS= read -r line; do not_run+=("$line"); done <.tools/sdk-skipped
fi
for line in "${not_run[@]}"; do echo "test: NOT RUN: $line"; done
if [ "${#not_run[@]}" -gt 0 ] && [ "${CI:-}" = true ]; then failed+=("${#not_run[@]} part(s) not run"); fi

echo "test: go test took ${go_seconds} s with its setup, the SDKs ${sdk_seconds} s"
cat .tools/test-summary
if [ "${#failed[@]}" -gt 0 ]; then
	printf 'test: FAILED: %s\n' "${failed[@]}"
	exit 1
fi
