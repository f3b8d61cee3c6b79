#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: system packages with apt when that is possible,
# everything else into the ignored folders .tools/ and .venv/. Prints one line a part.
#
#   scripts/setup.sh [PART ...]     parts: cc python postgres redis chromium node sdk-python sdk-node agent lab; all by default
#
# A part that cannot be had is no error here: it is written to .tools/missing, one line each,
# "part: reason", for the caller to judge. Always run from a clean state; finished parts take no time.
set -euo pipefail
cd "$(dirname "$0")/.."

NODE_VERSION=22.23.3

mkdir -p .tools
: >.tools/missing

say() { printf 'setup: %s\n' "$*"; }
lacks() { # PART REASON
	say "$1: MISSING: $2"
	printf '%s: %s\n' "$1" "$2" >>.tools/missing
}

# apt_install PACKAGE ... installs Debian packages, quietly; services are not started. It fails without root or apt.
apt_install() {
	command -v apt-get >/dev/null || return 1
	[ "$(id -u)" = 0 ] || return 1
	say "installing $* with apt"
	if [ ! -e .tools/apt-updated ]; then
		apt-get update -qq >.tools/apt.log 2>&1 || return 1
		touch .tools/apt-updated
	fi
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>.tools/apt.log 2>&1
}

# fresh STAMP FILE says whether STAMP holds the checksum of FILE; stamp STAMP FILE writes it.
fresh() { [ -e "$1" ] && [ "$(cat "$1")" = "$(cksum <"$2")" ]; }
stamp() { cksum <"$2" >"$1"; }

part_cc() { # the race detector needs a C compiler
	have_cc() { command -v "${CC:-gcc}" >/dev/null && echo 'int main(void){return 0;}' | "${CC:-gcc}" -x c -o /dev/null - 2>/dev/null; }
	have_cc || apt_install gcc libc6-dev || true
	if have_cc; then say "cc: ok"; else lacks cc "no C compiler, so no race detector; on Debian: apt-get install gcc libc6-dev"; fi
}

part_python() {
	have_python() {
		python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null &&
			{ [ "$(uname)" != Linux ] || compgen -G '/usr/lib*/*/libgomp.so.1' >/dev/null || compgen -G '/usr/lib*/libgomp.so.1' >/dev/null; }
	}
	have_python || apt_install python3 python3-venv libgomp1 libstdc++6 || true
	if have_python; then say "python: ok"; else lacks python "no Python 3.10 with venv, or no libgomp; on Debian: apt-get install python3 python3-venv libgomp1"; fi
}

part_postgres() {
	have_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
	have_postgres || apt_install postgresql || true
	if have_postgres; then say "postgres: ok"; else lacks postgres "no PostgreSQL server; on Debian: apt-get install postgresql"; fi
}

part_redis() {
	have_redis() { command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }
	have_redis || apt_install redis-server || true
	if have_redis; then say "redis: ok"; else lacks redis "no Redis or Valkey server; on Debian: apt-get install redis-server"; fi
}

part_chromium() { # shows the report's page as a manager sees it
	have_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
	have_chromium || apt_install chromium || true
	if have_chromium; then say "chromium: ok"; else lacks chromium "no Chromium for the test of the report's page; on Debian: apt-get install chromium"; fi
}

# node_bin prints the folder of a Node of at least version 22, the oldest that the SDKs support.
node_bin() {
	local own=.tools/node/node_modules/node-linux-$(node_arch)/bin
	if [ -x "$own/node" ]; then
		(cd "$own" && pwd)
	elif command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 22 ]; then
		dirname "$(command -v node)"
	else
		return 1
	fi
}
node_arch() { case "$(uname -m)" in aarch64 | arm64) echo arm64 ;; *) echo x64 ;; esac }

part_node() {
	if ! node_bin >/dev/null; then
		command -v npm >/dev/null || apt_install npm || true
		if command -v npm >/dev/null; then
			say "installing Node $NODE_VERSION from npm"
			mkdir -p .tools/node
			npm install --silent --no-save --no-package-lock --prefix .tools/node "node-linux-$(node_arch)@$NODE_VERSION" >.tools/npm.log 2>&1 || true
		fi
	fi
	if node_bin >/dev/null && command -v npm >/dev/null; then
		node_bin >.tools/node-bin
		say "node: ok"
	else
		lacks node "no Node 22 with npm, which the SDKs need"
	fi
}

part_sdk_python() {
	local wanted=test/sdk/python/requirements.txt
	if ! fresh .venv/sdk "$wanted"; then
		say "installing the Python SDKs"
		{ python3 -m venv --clear .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$wanted"; } >.tools/pip.log 2>&1 && stamp .venv/sdk "$wanted" || true
	fi
	if fresh .venv/sdk "$wanted"; then say "sdk-python: ok"; else lacks sdk-python "the Python SDKs could not be installed; see .tools/pip.log"; fi
}

part_sdk_node() {
	local wanted=test/sdk/node/package-lock.json
	if ! fresh .tools/sdk-node "$wanted" || [ ! -d test/sdk/node/node_modules ]; then
		say "installing the Node SDKs"
		if bin=$(node_bin) && PATH="$bin:$PATH" npm ci --silent --prefix test/sdk/node >.tools/npm.log 2>&1; then
			stamp .tools/sdk-node "$wanted"
		else
			rm -f .tools/sdk-node
		fi
	fi
	if fresh .tools/sdk-node "$wanted"; then say "sdk-node: ok"; else lacks sdk-node "the Node SDKs could not be installed; see .tools/npm.log"; fi
}

part_agent() { # a coding agent, for one task through the gateway
	local wanted=0.171.0
	if [ "$(cat .tools/agent/ready 2>/dev/null)" != "$wanted" ]; then
		say "installing a coding agent"
		mkdir -p .tools/agent
		if bin=$(node_bin) && PATH="$bin:$PATH" npm install --silent --no-save --no-package-lock --prefix .tools/agent "@openai/codex@$wanted" >.tools/npm.log 2>&1; then
			echo "$wanted" >.tools/agent/ready
		fi
	fi
	if [ -e .tools/agent/ready ]; then say "agent: ok"; else lacks agent "the coding agent could not be installed; see .tools/npm.log"; fi
}

part_lab() { # the small real model that the SDK matrix also talks to
	if [ -e .lab/models/smollm2.gguf ] || python3 lab/lab.py install smollm2; then say "lab: ok"; else lacks lab "the lab's model could not be installed"; fi
}

[ $# -gt 0 ] || set -- cc python postgres redis chromium node sdk-python sdk-node agent lab
for part; do
	case "$part" in
	cc | python | postgres | redis | chromium | node | sdk-python | sdk-node | agent | lab) "part_${part//-/_}" ;;
	*)
		echo "setup: no part called $part" >&2
		exit 2
		;;
	esac
done
