# Waits for the end of the program that started it, which is the end of its standard input, and
# then ends the runs that the program did not see through: their processes and their directories.
# Exits with 1 if something of them is left.
#
# $1 is the name of the variable that marks a run's processes, $2 where the process table is
# mounted. Standard input says, line by line:
#
#     watch TOKEN [DIRECTORY]   a run starts; the directory is in the form of printf's %b
#     done TOKEN                that run was cleaned up

# What ends the program must not end this one: a terminal's signals, a service manager's.
trap '' HUP INT TERM
# Whatever else was inherited is not to be kept open from here.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

marker=$1
proc=$2
newline='
'

# Prints the pids of the processes in whose environment the marker names one of the tokens "$@".
marked() {
    if [ ! -r "$proc/self/environ" ]; then
        marked_by_ps "$@"
        return
    fi
    patterns=
    for token; do
        patterns="$patterns$newline^$marker=\\(.*:\\)\\{0,1\\}$token\\(:.*\\)\\{0,1\\}\$"
    done
    patterns=${patterns#"$newline"}
    if [ "$(printf 'a\0b\0' | grep -cz '^b$' 2>/dev/null)" = 1 ]; then
        # One grep for all of them, where grep can do lines that end in NUL.
        grep -lsz -e "$patterns" "$proc"/[0-9]*/environ | tr -dc '0-9\n'
        return
    fi
    for process in "$proc"/[0-9]*; do
        tr '\n\0' ' \n' <"$process/environ" | grep -q -e "$patterns" && echo "${process##*/}"
    done 2>/dev/null
}

# The environment comes behind the arguments, which may talk of the marker too.
marked_by_ps() {
    ps axeww -o pid= -o command= 2>/dev/null | grep " $marker=" | while read -r pid words; do
        value=${words##*" $marker="}
        for token; do
            case ":${value%% *}:" in *":$token:"*) echo "$pid" ;; esac
        done
    done
}

# Prints the pids of the children of "$@", of theirs, and so on: they may have cleared their
# environment. Not those that guard an inner run, which end by themselves.
descendants() {
    for pid; do
        for child in $(cat "$proc/$pid"/task/*/children 2>/dev/null); do
            tr '\0' '\n' <"$proc/$child/environ" 2>/dev/null |
                grep -q '^OPENCODE_RS_GUARDIAN=' && continue
            echo "$child"
            descendants "$child"
        done
    done
}

# A second to tidy up, two more to be gone. That nobody is found counts the second time only: a
# process has no environment for the moment in which it becomes another program.
end_processes() {
    round=0
    empty=0
    while
        pids=$(marked "$@")
        [ -n "$pids" ] && empty=0 || empty=$((empty + 1))
        [ $empty -lt 2 ]
    do
        case $round in
            0) signal=TERM ;;
            2? | 3? | 4? | 5?) signal=KILL ;;
            60) return 1 ;;
            *) signal=0 ;;
        esac
        [ -z "$pids" ] || kill -s $signal $pids $(descendants $pids) 2>/dev/null
        sleep 0.05 2>/dev/null || sleep 1
        round=$((round + 1))
    done
}

# Removes the directory $2 of the run $1: a directory named after the run, and nothing else.
remove() {
    directory=$(printf '%b.' "$2")
    directory=${directory%.}
    case $directory in
        */../*) return 1 ;;
        /*"$1") ;;
        *) return 1 ;;
    esac
    [ -d "$directory" ] && [ ! -L "$directory" ] || return 0
    rm -rf -- "$directory" 2>/dev/null && return
    # Tools leave directories behind that their owner may not remove anything from.
    find "$directory" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
    rm -rf -- "$directory" 2>/dev/null
}

watched=
while read -r verb token directory; do
    case $verb in
        watch) watched="$watched$token $directory$newline" ;;
        done) watched=$(printf '%s' "$watched" | grep -v "^$token ")$newline ;;
    esac
done

tokens=$(printf '%s' "$watched" | while read -r token directory; do echo "$token"; done)
[ -n "$tokens" ] || exit 0
end_processes $tokens
status=$?
printf '%s' "$watched" | {
    while read -r token directory; do
        [ -z "$directory" ] || remove "$token" "$directory" || status=1
    done
    exit $status
}
