#!/usr/bin/env bash
# make run: starts bin/sallyport with something to answer. With a provider key in the environment or a
# model server on a usual local port, that is all. With neither, the lab's small model is installed and
# served first, and ended again together with the gateway. Arguments go to `sallyport serve`.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'run: %s\n' "$*"; }

# The variables and ports that sallyport itself looks at.
key_variables=$(grep -oE '"[A-Z]+_API_KEY"' internal/config/vendors.go | tr -d '"')
local_ports="11434 8080 8081 8000 1234"

provider_key() {
	local name
	for name in $key_variables; do
		if [ -n "${!name:-}" ]; then
			echo "$name"
			return
		fi
	done
	return 1
}

lab_runs() { [ -e .lab/run/smollm2.pid ] && python3 lab/lab.py status smollm2 2>/dev/null | grep -q 'answering at'; }

local_server() {
	local port
	for port in $local_ports; do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

if name=$(provider_key); then
	say "found $name in the environment"
	exec bin/sallyport serve "$@"
fi
if ! lab_runs && port=$(local_server); then
	say "found a server on 127.0.0.1:$port; confirm it with: bin/sallyport upstreams confirm NAME --class local"
	exec bin/sallyport serve "$@"
fi

if lab_runs; then
	say "the lab's model is running"
else
	say "no provider key in the environment and no model server on the ports $local_ports:"
	say "installing a small real model into .lab/, once: 121 MiB to fetch, 230 MiB on disk"
	scripts/setup.sh python
	if [ -s .tools/missing ]; then
		say "without Python there is no local model; set OPENAI_API_KEY or another provider's key and run again"
		exit 1
	fi
	python3 lab/lab.py install smollm2
	trap 'python3 lab/lab.py stop smollm2' EXIT
	python3 lab/lab.py serve smollm2
fi

cat >.lab/run.yaml <<YAML
# Made by make run. The class is local because whoever typed make run operates the model here.
upstreams:
  - name: lab
    kind: openai
    base_url: http://127.0.0.1:${LAB_SMOLLM2_PORT:-8080}/v1
    class: local
models:
  smollm2: { targets: [ { upstream: lab, model: smollm2-135m-instruct } ] }
YAML
say "configuration: .lab/run.yaml (model smollm2, class local)"
say "ready after $SECONDS s; starting: bin/sallyport serve --config .lab/run.yaml $*"
say "then, in another terminal: bin/sallyport chat \"hello\" --model smollm2"
say "or any OpenAI SDK with model smollm2, the base URL and the virtual key that follow"

# A background child keeps this terminal; the shell waits, so that signals reach the gateway at once.
bin/sallyport serve --config .lab/run.yaml "$@" <&0 &
gateway=$!
finish() {
	trap '' INT TERM HUP
	kill -TERM "$gateway" 2>/dev/null || true
}
trap finish INT TERM HUP
status=0
wait "$gateway" || status=$?
while kill -0 "$gateway" 2>/dev/null; do # a signal ends a wait early
	status=0
	wait "$gateway" || status=$?
done
exit "$status"
