#!/bin/sh
# Shell of OpenCode's `bash` tool on a server for a policy: runs a command line only when the line has
# been approved, once for each approval. An approval is a file that contains the line.
unset OPENCODE_SERVER_PASSWORD OPENCODE_SERVER_USERNAME

run() {
    if command -v bash >/dev/null 2>&1; then
        exec bash "$@"
    fi
    exec sh "$@"
}

# The `bash` tool passes `-c LINE`. The application's own commands come with more arguments.
if [ "$#" -ne 2 ] || [ "$1" != -c ]; then
    run "$@"
fi
for approval in "${0%/*}"/approved/*; do
    # The dot keeps line breaks at the end. Of two processes, one can remove the file.
    if [ "$(cat "$approval" 2>/dev/null && echo .)" = "$2
." ] && rm "$approval" 2>/dev/null; then
        run "$@"
    fi
done
echo "Not run: the policy of the session did not approve this command line." >&2
echo "OpenCode asks for commands only. Write the line so that it runs a command." >&2
exit 126
