# Completion for mela in bash; install as /usr/share/bash-completion/completions/mela.
# The program knows its own commands and options best.
# shellcheck source=/dev/null
source <(mela completion bash)
