#!/usr/bin/env bash
# Runs every fuzz target, one after the other, for the time given (default 60s).
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${1:-60s}
status=0
while IFS=: read -r file target; do
	echo "fuzz: $target in $(dirname "$file") for $fuzztime"
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" || status=1
done < <(git ls-files '*_test.go' | xargs grep -Eo '^func Fuzz[A-Za-z0-9_]*' /dev/null | sed 's/func //' | sort)
exit "$status"
