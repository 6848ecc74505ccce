# Completion for mela-worker in bash; install as /usr/share/bash-completion/completions/mela-worker.
# The program knows its own commands and options best.
# shellcheck source=/dev/null
source <(mela-worker completion bash)
