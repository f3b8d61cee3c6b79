"""Serves one GGUF model with llama.cpp's own HTTP server until it is told to stop.

Run by lab.py with the Python of .lab/venv. Listens on 127.0.0.1 only, never contacts a network.
The server answers /v1/chat/completions, /v1/responses, /v1/messages, /v1/embeddings and /v1/models.
"""

import argparse
import os
import signal
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--name", required=True, help="model id shown to clients")
    parser.add_argument("--template", required=True, help="Jinja chat template")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=4, help="requests answered at once")
    parser.add_argument("--context", type=int, default=2048, help="tokens per slot")
    parser.add_argument("--temperature", type=float, default=0.8, help="for requests that name none")
    parser.add_argument("--kv-cache", choices=["f16", "q8_0"], default="f16", help="precision of the key-value cache; q8_0 makes another honest deployment")
    args = parser.parse_args()

    # Blocked before the server starts its threads, so that only sigwait below receives them.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)

    # Threads that spin while they wait for each other starve on a busy machine: measured with a load of
    # 12 on 2 cores, 1 token/s spinning and 50 to 80 sleeping. Read when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import xllamacpp as llama

    params = llama.CommonParams()
    params.model.path = args.model
    params.model_alias = {args.name}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_parallel = args.slots
    params.n_ctx = args.slots * args.context
    params.cpuparams.n_threads = os.cpu_count() or 2
    params.sampling.temp = args.temperature
    params.cache_ram_mib = 0
    if args.kv_cache == "q8_0":
        params.cache_type_k = params.cache_type_v = llama.ggml_type.GGML_TYPE_Q8_0
    params.embedding = True
    params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.offline = True
    params.ui = False
    params.use_jinja = True
    with open(args.template, encoding="utf-8") as template:
        params.chat_template = template.read()

    server = llama.Server(params)
    print(f"{args.name} on {server.listening_address}", flush=True)
    signal.sigwait(stop)
    # The native threads have no clean way out; the process ends as a whole.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
